// Which pages of a browser are kept up to date. It has six connections for a host, each stream keeps one of them, and
// with six of them no further page would load: of the pages that are seen at once the four looked at last have one.
const MOST = 4;
const CHANNEL = "balancer-streams";

export function takeTurns({ go, stop }) {
  const channel = new BroadcastChannel(CHANNEL);
  const me = Math.random();
  const newer = new Set();
  let waiting = false;

  channel.addEventListener("message", ({ data: { id, has } }) => {
    if (has) newer.add(id);
    else newer.delete(id);
    if (!waiting && newer.size >= MOST) {
      waiting = stop();
    } else if (waiting && newer.size < MOST) {
      go();
    }
  });
  const wanted = () => waiting && go();
  window.addEventListener("focus", wanted);
  window.addEventListener("pointerdown", wanted);

  return {
    take() {
      waiting = false;
      newer.clear();
      channel.postMessage({ id: me, has: true });
    },
    leave() {
      channel.postMessage({ id: me, has: false });
    },
  };
}
