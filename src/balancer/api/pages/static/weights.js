// Sliders beside the numbers of a split's weights: who moves one sees the others give way, so that it stays 100 %.
const WHOLE = 10_000;

export function offerSliders(form) {
  if (!form) return;
  const numbers = [...form.querySelectorAll("input[type=number]")];
  const sliders = numbers.map((number) => {
    const slider = form.querySelector(`input[type=range][data-of="${CSS.escape(number.id)}"]`);
    slider.hidden = false;
    return slider;
  });
  const units = () => numbers.map((number) => Math.round(Number(number.value || 0) * 100));
  const show = (values) => values.forEach((value, at) => {
    if (Number(numbers[at].value) !== value / 100) numbers[at].value = String(value / 100);
    sliders[at].value = String(value / 100);
  });

  const give = (at, wanted) => {
    const values = units();
    const rest = WHOLE - wanted;
    const others = values.reduce((sum, value, place) => (place === at ? sum : sum + value), 0);
    let left = rest;
    const last = values.findLastIndex((_, place) => place !== at);
    const next = values.map((value, place) => {
      if (place === at) return wanted;
      const share = place === last ? left : others ? Math.floor((rest * value) / others) : Math.floor(rest / (values.length - 1));
      left -= share;
      return share;
    });
    show(next);
  };
  sliders.forEach((slider, at) => slider.addEventListener("input", () => give(at, Math.round(Number(slider.value) * 100))));
  // A number that is typed moves the other one of two; of more, whoever types says what each is to have.
  numbers.forEach((number, at) => number.addEventListener("input", () => {
    const wanted = Math.round(Number(number.value) * 100);
    if (numbers.length === 2 && number.value !== "" && wanted >= 0 && wanted <= WHOLE) give(at, wanted);
    else sliders[at].value = number.value;
  }));
}
