// A line at the foot of the window that says the answer where that is out of sight, as on a phone.

/** Watch whether the answer can be seen; gives a function to call when there is a new one. */
export function watchAnswer(result) {
  const line = document.createElement("a");
  const words = document.createElement("strong");
  line.className = "glance";
  line.href = `#${result.id}`;
  line.hidden = true;
  line.append(words, "See the answer");
  document.body.append(line);
  let isSeen = true;

  function show() {
    const best = result.querySelector(".best, .text");
    words.textContent = best?.firstChild?.textContent.trim() ?? "";
    line.hidden = isSeen || !result.querySelector(".output");
  }

  new IntersectionObserver(([entry]) => {
    isSeen = entry.isIntersecting;
    if (isSeen) line.hidden = true;
  }, { rootMargin: "0px 0px -80px" }).observe(result);
  // It must not stand before what somebody goes on to.
  addEventListener("scroll", () => (line.hidden = true), { passive: true });
  return show;
}
