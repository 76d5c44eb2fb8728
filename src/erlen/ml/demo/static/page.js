// The page of a predictor: what the plain form does, without a new page each time. The server
// renders answers and faults either way; this takes them over from the page that it sends.
//
// Properties of forms are asked by attribute: a field named "action" or "target" would stand before
// them.
import { adopt, clearFaults, refusal, say, showFault } from "./answer.js";
import { offerCopies } from "./copy.js";
import { offerDrawing } from "./draw.js";
import { faultOf, watchFiles, watchPaste } from "./files.js";
import { watchAnswer } from "./glance.js";
import { keep, listHistory } from "./history.js";
import { follow } from "./stream.js";

const form = document.getElementById("form");
const result = document.getElementById("result");
const stop = document.getElementById("stop");
const isLive = form.hasAttribute("data-live");
const streams = form.hasAttribute("data-streams");
let asked = null; // what ends the question that is being answered

form.setAttribute("novalidate", ""); // faults are shown at their fields, by `findFaults`
prepareFields();
offerCopies();
listHistory(fill);
watchPaste();
const glance = watchAnswer(result);

document.addEventListener("submit", (event) => {
  if (event.target !== form) return;
  event.preventDefault();
  ask(event.submitter);
});

document.addEventListener("change", (event) => {
  if (event.target.closest("#fields")) changed();
});

document.addEventListener("input", (event) => {
  const number = event.target.closest(".slider")?.querySelector("output");
  if (number) number.value = event.target.value;
});

stop.addEventListener("click", () => asked?.abort());

function prepareFields() {
  for (const field of document.querySelectorAll("#fields .field")) {
    watchFiles(field);
    offerDrawing(field);
  }
}

function changed() {
  if (isLive && isComplete()) ask(null);
}

function isComplete() {
  return [...inputs()].every((input) => input.validity.valid);
}

function inputs() {
  return document.querySelectorAll("#fields :is(input, select, textarea)[name]");
}

/** Send the form, or an example's button, and show what comes back. */
async function ask(submitter) {
  const isExample = submitter?.name === "erlen-choose";
  clearFaults();
  if (!isExample && findFaults()) return;
  asked?.abort();
  const current = (asked = new AbortController());
  const body = new FormData(form);
  if (isExample) body.append(submitter.name, submitter.value);
  setBusy(true);
  try {
    const answer = await fetch(form.getAttribute("action"), {
      method: "POST",
      body,
      headers: { Accept: streams ? "text/event-stream, text/html;q=0.9" : "text/html" },
      signal: current.signal,
    });
    const page = answer.headers.get("Content-Type")?.startsWith("text/event-stream")
      ? await follow(answer, result)
      : await answer.text();
    if (current !== asked) return; // a later question was asked meanwhile
    const isPage = adopt(page, isExample);
    if (isPage && isExample) prepareFields();
    if (!isPage) say(refusal(answer.status));
    else if (isRefused()) document.querySelector("#fields [aria-invalid]")?.focus();
    else finish(submitter);
    offerCopies();
  } catch (error) {
    if (error.name !== "AbortError") say("No answer came. Is the server still running?");
  } finally {
    if (current === asked) setBusy(false);
  }
}

/** Keep the answer, and bring it to where it is seen if somebody pressed a button for it. */
async function finish(submitter) {
  if (submitter && result.getBoundingClientRect().top > innerHeight * 0.8) result.scrollIntoView();
  const preview = document.querySelector("#fields img[data-preview][src]");
  await preview?.decode().catch(() => {}); // it is no picture that a browser can show
  keep(new FormData(form), document.querySelector("#fields .drawn canvas") ?? preview);
  listHistory(fill);
  glance();
}

/** Show at each field what is wrong with it; whether anything is. */
function findFaults() {
  let first = null;
  const most = Number(form.getAttribute("data-max-size"));
  let size = 0;
  for (const input of inputs()) {
    const fault = faultOf(input);
    size += [...(input.files ?? [])].reduce((sum, file) => sum + file.size, 0);
    if (!fault) continue;
    showFault(input.closest(".field"), fault);
    first ??= input;
  }
  if (!first && most && size > most) {
    say("That is too large: the server takes less.");
    return true;
  }
  first?.focus();
  return first !== null;
}

function isRefused() {
  return document.querySelector("#problem .problem, #fields .wrong") !== null;
}

function setBusy(busy) {
  result.setAttribute("aria-busy", String(busy));
  result.classList.toggle("working", busy && !streams);
  stop.hidden = !busy;
}

/** Put values of an earlier question into the fields again; files have to be chosen anew. */
function fill(values) {
  for (const input of inputs()) {
    if (input.type === "file" || input.type === "hidden") continue;
    const value = values.find(([name]) => name === input.name)?.[1];
    if (input.type === "radio" || input.type === "checkbox") input.checked = input.value === value;
    else input.value = value ?? "";
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
