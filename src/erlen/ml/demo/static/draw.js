// Drawing with mouse, pen or finger: what is drawn becomes the file of the field.
import { put } from "./files.js";

const WIDTH = 1 / 14; // of the pen, in widths of the paper
const INK = "#10131c";
const PAPER = "#fff";

/** Let people draw in a field for pictures. */
export function offerDrawing(field) {
  const paper = field.querySelector("[data-paper]");
  if (!paper) return;
  if (field.hasAttribute("data-draw")) paper.hidden = false;
  else offerPaper(field, paper);
  const input = field.querySelector("input[type=file]");
  const preview = field.querySelector("[data-preview]");
  const sheet = new Sheet(paper);

  sheet.drawn = (file) => {
    put(input, file);
    preview.hidden = true;
  };
  sheet.wiped = () => {
    document.querySelector("#fields > input[name=erlen-example]")?.remove();
    field.querySelector(".note").textContent = "";
    preview.hidden = true;
    input.value = "";
  };
  // A picture that is chosen, or an example's, lies on the paper where that is open.
  preview.addEventListener("load", () => {
    if (paper.hidden || preview.hidden) return;
    sheet.show(preview);
    preview.hidden = true;
  });
  if (preview.complete && preview.naturalWidth) preview.dispatchEvent(new Event("load"));
}

/** What is drawn on. */
class Sheet {
  #canvas;
  #pen;
  #wipe;
  #paper;
  #pointer = null;
  #last = null;
  drawn = () => {};
  wiped = () => {};

  constructor(paper) {
    this.#paper = paper;
    this.#canvas = paper.querySelector("canvas");
    this.#pen = this.#canvas.getContext("2d");
    this.#wipe = paper.querySelector("[data-wipe]");
    this.#clear();
    this.#canvas.addEventListener("pointerdown", (event) => this.#begin(event));
    this.#canvas.addEventListener("pointermove", (event) => this.#go(event));
    for (const name of ["pointerup", "pointercancel"]) this.#canvas.addEventListener(name, (event) => this.#end(event));
    this.#wipe.addEventListener("click", () => {
      this.#clear();
      this.wiped();
    });
  }

  /** Lay a picture on the paper, as large as fits. */
  show(picture) {
    const { width, height } = this.#canvas;
    const scale = Math.min(width / picture.naturalWidth, height / picture.naturalHeight);
    const size = [picture.naturalWidth * scale, picture.naturalHeight * scale];
    this.#clear();
    this.#pen.drawImage(picture, (width - size[0]) / 2, (height - size[1]) / 2, ...size);
    this.#mark();
  }

  #clear() {
    const { width, height } = this.#canvas;
    Object.assign(this.#pen, { fillStyle: PAPER, strokeStyle: INK, lineWidth: width * WIDTH, lineCap: "round", lineJoin: "round" });
    this.#pen.fillRect(0, 0, width, height);
    this.#paper.classList.remove("drawn");
    this.#wipe.hidden = true;
  }

  #mark() {
    this.#paper.classList.add("drawn");
    this.#wipe.hidden = false;
  }

  #begin(event) {
    if (this.#pointer !== null || event.button !== 0) return;
    event.preventDefault();
    this.#canvas.setPointerCapture(event.pointerId);
    this.#pointer = event.pointerId;
    this.#last = this.#place(event);
    this.#mark();
    this.#lineTo(this.#last);
  }

  #go(event) {
    if (event.pointerId !== this.#pointer) return;
    const between = event.getCoalescedEvents?.() ?? [];
    for (const each of between.length ? between : [event]) this.#lineTo(this.#place(each));
  }

  #end(event) {
    if (event.pointerId !== this.#pointer) return;
    this.#pointer = null;
    this.#canvas.toBlob((blob) => this.drawn(new File([blob], "drawing.png", { type: blob.type })), "image/png");
  }

  #place(event) {
    const box = this.#canvas.getBoundingClientRect();
    const scale = this.#canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  #lineTo(point) {
    this.#pen.beginPath();
    this.#pen.moveTo(...this.#last);
    this.#pen.lineTo(...point);
    this.#pen.stroke();
    this.#last = point;
  }
}

/** A button that opens the paper, where drawing is not what the page is for. */
function offerPaper(field, paper) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet small";
  button.textContent = "Draw instead";
  button.addEventListener("click", () => {
    paper.hidden = false;
    button.remove();
  });
  field.querySelector("[data-drop]").append(button);
}
