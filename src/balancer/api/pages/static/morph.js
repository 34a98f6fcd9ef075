// Making one element like another without taking it away: whoever is in it stays there.
// What has not changed is not touched. A control is the same one only where it leads to the same: the focus never comes to
// stand on another action. Open or closed, typed, moved: what somebody did to the page outlives its updates.

export function morph(old, next) {
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const made = become(old, next);
  if (focused && !focused.isConnected) {
    // What had the focus is gone; the part that it was in is not.
    made.tabIndex = -1;
    made.focus({ preventScroll: true });
  }
  return made;
}

function become(old, next) {
  if (!isSame(old, next)) {
    old.replaceWith(next);
    return next;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== next.data) old.data = next.data;
  } else if (!old.isEqualNode(next)) {
    takeAttributes(old, next);
    takeChildren(old, next);
  }
  return old;
}

function isSame(one, other) {
  return one.nodeType === other.nodeType && one.nodeName === other.nodeName && keyOf(one) === keyOf(other);
}

// What an element is, whatever it shows just now; none where its place says it.
function keyOf(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return "";
  if (node.id) return `#${node.id}`;
  switch (node.localName) {
    case "a":
      return `to ${node.getAttribute("href")}`;
    case "button":
      return node.getAttribute("aria-label") ?? node.textContent.trim();
    case "form":
      return [node.getAttribute("action"), ...[...node.querySelectorAll("input[type=hidden]")].map((each) => `${each.name}=${each.value}`)].join(" ");
    case "tr":
      return node.querySelector("th[scope=row]")?.textContent.trim() ?? "";
    default:
      return "";
  }
}

function takeAttributes(old, next) {
  const isKept = (name) => name === "open" && old.localName === "details";
  for (const { name } of [...old.attributes]) {
    if (!next.hasAttribute(name) && !isKept(name)) old.removeAttribute(name);
  }
  for (const { name, value } of [...next.attributes]) {
    if (old.getAttribute(name) !== value && !isKept(name)) old.setAttribute(name, value);
  }
}

function takeChildren(old, next) {
  const rest = [...next.childNodes];
  const keyed = byKey(old.children);
  let at = old.firstChild;
  while (rest.length) {
    const wanted = rest.shift();
    const found = find(wanted, at, rest, keyed);
    if (!found) {
      old.insertBefore(wanted, at);
      continue;
    }
    if (found !== at) at = clear(old, at, found, rest);
    at = at.nextSibling;
    become(found, wanted);
  }
  while (at) {
    const following = at.nextSibling;
    at.remove();
    at = following;
  }
}

function byKey(elements) {
  const groups = new Map();
  for (const each of elements) groups.set(keyOf(each), [...(groups.get(keyOf(each)) ?? []), each]);
  return groups;
}

// Which of the old children a new one is: of those with a key that one, else the next of its kind.
function find(wanted, at, rest, keyed) {
  const key = keyOf(wanted);
  if (key) {
    const group = keyed.get(key) ?? [];
    const place = group.findIndex((each) => isSame(each, wanted));
    return place < 0 ? null : group.splice(place, 1)[0];
  }
  if (!at || isSame(at, wanted)) return at;
  const isWantedLater = keyOf(at) ? rest.some((each) => isSame(each, at)) : rest.some((each) => each.nodeName === at.nodeName);
  if (wanted.nodeType !== Node.ELEMENT_NODE || isWantedLater) return null;
  let found = at;
  while (found && !isSame(found, wanted)) found = found.nextSibling;
  return found;
}

// Bring the found child to its place; what has the focus is not moved, for it would lose it.
function clear(old, at, found, rest) {
  const between = [];
  for (let node = at; node && node !== found; node = node.nextSibling) between.push(node);
  if (between.some((node) => node.contains(document.activeElement))) {
    old.insertBefore(found, at);
    return found;
  }
  for (const node of between) {
    if (keyOf(node) && rest.some((each) => isSame(each, node))) old.append(node);
    else node.remove();
  }
  return found;
}
