"use strict";

// Draw with mouse, pen or finger; each finished stroke is sent and the answer shown. Uploads need no reload either.
const pad = document.querySelector(".pad");
const canvas = pad.querySelector("canvas");
const form = document.querySelector("form");
const result = document.querySelector(".result");
const problem = result.querySelector(".problem");
const pen = canvas.getContext("2d");
const INK = 16;
const NOTHING = { digit: "", probabilities: Array(10).fill(0), image: Array(8).fill(Array(8).fill(0)) };
let last = null;
let asked = 0;

pad.hidden = false;
clearPad();

function clearPad() {
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.lineWidth = 20;
  pen.lineCap = pen.lineJoin = "round";
  pen.strokeStyle = "#10131c";
  pad.classList.remove("drawn");
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  const scale = canvas.width / box.width;
  return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
}

function lineTo(point) {
  pen.beginPath();
  pen.moveTo(...last);
  pen.lineTo(...point);
  pen.stroke();
  last = point;
}

canvas.addEventListener("pointerdown", (event) => {
  if (last || event.button !== 0) return;
  canvas.setPointerCapture(event.pointerId);
  event.preventDefault();
  pad.classList.add("drawn");
  last = place(event);
  lineTo(last);
});

canvas.addEventListener("pointermove", (event) => {
  if (!last) return;
  const steps = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
  for (const step of steps.length ? steps : [event]) lineTo(place(step));
});

for (const end of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(end, () => {
    if (!last) return;
    last = null;
    const number = ++asked;
    canvas.toBlob((blob) => ask(blob, "drawing.png", number), "image/png");
  });
}

pad.querySelector(".clear").addEventListener("click", () => {
  asked += 1;
  clearPad();
  show(NOTHING);
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const file = form.picture.files[0];
  if (!file) return;
  clearPad();
  ask(file, file.name, ++asked);
});

async function ask(blob, name, number) {
  const body = new FormData();
  body.append("picture", blob, name);
  let answer;
  try {
    const response = await fetch("predict", { method: "POST", body });
    answer = await response.json();
  } catch {
    answer = { error: "No answer came; is the server still running?" };
  }
  if (number === asked) show(answer);  // an earlier answer that arrives late is dropped
}

function show(answer) {
  problem.hidden = !answer.error;
  problem.textContent = answer.error ?? "";
  if (answer.error) answer = NOTHING;
  result.classList.toggle("empty", answer === NOTHING);
  result.querySelector(".digit").textContent = answer.digit;
  result.querySelectorAll(".seen rect").forEach((square, place) => {
    square.setAttribute("fill-opacity", answer.image[Math.floor(place / 8)][place % 8] / INK);
  });
  result.querySelectorAll(".bars li").forEach((row, number) => {
    const share = 100 * answer.probabilities[number];
    row.classList.toggle("best", number === answer.digit);
    row.querySelector("rect").setAttribute("width", `${share}%`);
    row.querySelector(".share").textContent = answer.digit === "" ? "–" : `${share.toFixed(1)} %`;
  });
}
