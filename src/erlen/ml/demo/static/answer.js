// Taking answers and faults over from a page that the server rendered.

const SWAPPED = ["problem", "result", "calls"];

/** Show the answer that a page has; false where the text is no page of a predictor. */
export function adopt(text, withFields = false) {
  const page = new DOMParser().parseFromString(text, "text/html");
  if (!page.getElementById("form")) return false;
  for (const id of SWAPPED) replace(page, id);
  if (withFields) replace(page, "fields");
  else for (const field of page.querySelectorAll("#fields .field.wrong")) takeFault(field);
  const token = page.querySelector("#form > input[type=hidden]");
  document.querySelector("#form > input[type=hidden]").value = token.value;
  return true;
}

/** Show an answer that was kept. */
export function showKept(kept) {
  for (const id of ["result", "calls"]) {
    const page = new DOMParser().parseFromString(kept[id] ?? "", "text/html");
    take(document.getElementById(id), page.body, !kept[id]);
  }
}

function replace(page, id) {
  const there = document.getElementById(id);
  const here = page.getElementById(id);
  if (there && here) take(there, here, here.hidden);
}

function take(there, from, isHidden) {
  there.replaceChildren(...[...from.childNodes].map((node) => document.importNode(node, true)));
  there.hidden = isHidden;
}

function takeFault(from) {
  const field = document.getElementById(from.id);
  if (field) showFault(field, from.querySelector(".error").textContent);
}

export function showFault(field, text) {
  field.classList.add("wrong");
  const error = field.querySelector(".error");
  error.textContent = text;
  error.hidden = false;
  for (const input of field.querySelectorAll("input, select, textarea")) input.setAttribute("aria-invalid", "true");
}

export function clearFaults() {
  document.getElementById("problem").replaceChildren();
  for (const field of document.querySelectorAll("#fields .field.wrong")) {
    field.classList.remove("wrong");
    field.querySelector(".error").hidden = true;
    for (const input of field.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
  }
}

/** Say above the form what went wrong with all of it. */
export function say(text) {
  const box = document.createElement("div");
  const line = document.createElement("p");
  box.className = "problem";
  box.setAttribute("role", "alert");
  line.textContent = text;
  box.append(line);
  document.getElementById("problem").replaceChildren(box);
}

/** What an answer means that is no page: something between here and the application gave it. */
export function refusal(status) {
  if (status === 413) return "That is too large for the server.";
  if ([429, 502, 503, 504].includes(status)) return "The server is busy. Try again in a moment.";
  return `The server refused this (${status}).`;
}
