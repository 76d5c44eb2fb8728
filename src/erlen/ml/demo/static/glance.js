// A line at the foot of the window that says the answer where that is out of sight, as on a phone.

const FOOT = 80; // pixels at the foot of the window that do not count as seen

/** Watch whether the answer can be seen; gives a function to call when there is a new one. */
export function watchAnswer(result) {
  const line = document.createElement("a");
  const words = document.createElement("strong");
  line.className = "glance";
  line.href = `#${result.id}`;
  line.hidden = true;
  line.append(words, "See the answer");
  document.body.append(line);
  let shownAt = 0;

  function isSeen() {
    const box = result.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight - FOOT;
  }

  function show() {
    const best = result.querySelector(".best, .text");
    words.textContent = best?.firstChild?.textContent.trim() ?? "";
    line.hidden = isSeen() || !result.querySelector(".output");
    shownAt = scrollY;
  }

  new IntersectionObserver(() => (line.hidden ||= isSeen()), {
    rootMargin: `0px 0px -${FOOT}px`,
  }).observe(result);
  // It must not stand before what somebody goes on to. The events of an earlier scroll come late.
  addEventListener("scroll", () => (line.hidden ||= scrollY !== shownAt), { passive: true });
  return show;
}
