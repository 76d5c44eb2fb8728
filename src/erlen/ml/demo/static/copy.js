// Buttons that copy the calls.

export function offerCopies() {
  for (const caption of document.querySelectorAll("#calls figcaption")) {
    caption.querySelector("button")?.remove();
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet small";
    button.textContent = "Copy";
    button.setAttribute("aria-describedby", caption.querySelector("span").id);
    button.addEventListener("click", () => copy(caption.parentElement.querySelector("code"), button));
    caption.append(button);
  }
}

async function copy(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    // Only pages served by HTTPS or from this machine may write to the clipboard.
    getSelection().selectAllChildren(code);
    button.textContent = "Selected: press Ctrl+C";
  }
}
