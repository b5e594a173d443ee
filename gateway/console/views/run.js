import { h } from "../dom.js"

export function view() {
  return { element: h("section", {}, h("h1", {}, "run")), title: "run" }
}
