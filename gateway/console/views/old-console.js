/** How somebody on the browser-only build gets an export out of it. */

import { h } from "../dom.js"

const COPY = "copy(JSON.stringify(localStorage))"
const SAVE = `Object.assign(document.createElement("a"), {
  href: URL.createObjectURL(new Blob([JSON.stringify(localStorage)])),
  download: "animatize-export.json",
}).click()`

export function view() {
  const title = "Bring your data from the old console"
  const element = h("section", { class: "data" }, h("h1", {}, title),
    h("ol", { class: "numbered" },
      h("li", {}, "In the browser that has the data, open the old console, then the developer tools (F12), Console."),
      h("li", {}, "Paste this there. It saves a file:", code(SAVE), "Or this, and paste what it copies into a new file:", code(COPY)),
      h("li", {}, "Choose that file under ", h("a", { href: "#/settings/data" }, "Import backup"), "."),
    ),
    h("p", {}, "Used are animatize_ui_runs_v2 (runs with their images) and animatize_ui_settings_v2 (two switches, no other setting changes)."),
    h("p", {}, "Other applications’ keys are passed over. Doing it twice adds nothing; undo is open for 7 days."),
  )
  return { element, title }
}

function code(text) {
  const block = h("code", {}, text)
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text)
    } catch {
      getSelection().selectAllChildren(block)
    }
  }
  return h("pre", {}, block, h("button", { class: "small", onclick: copy }, "Copy"))
}
