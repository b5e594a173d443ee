/** Short messages above everything: what happened, and what can be done about it. */

import { h, icon } from "./dom.js"

const LASTING = 8000 // milliseconds, of what is no error and asks for nothing

export class Notices {
  #shown = new Map()

  constructor(place) {
    this.place = place
  }

  /** `tone`: info | error; `actions`: `[{label, act}]`. Takes the place of the one of its `id`. Returns what closes it. */
  show(text, { tone = "info", actions = [], id = Symbol("notice") } = {}) {
    this.close(id)
    const close = () => this.close(id)
    const buttons = actions.map(({ label, act }) =>
      h("button", { class: "small", onclick: () => { close(); act() } }, label),
    )
    const cross = h("button", { class: "bare", "aria-label": "Close this notice", onclick: close }, icon("cross"))
    const notice = h("div", { class: `notice ${tone}`, role: tone === "error" ? "alert" : "status" }, h("p", {}, text), buttons, cross)
    this.place.append(notice)
    const timer = tone === "info" && !actions.length ? setTimeout(() => expire(notice, close), LASTING) : null
    this.#shown.set(id, { notice, timer })
    return close
  }

  close(id) {
    const { notice, timer } = this.#shown.get(id) ?? {}
    clearTimeout(timer)
    notice?.remove()
    this.#shown.delete(id)
  }
}

/** Not from under somebody's hand. */
function expire(notice, close) {
  if (notice.matches(":hover, :focus-within")) setTimeout(() => expire(notice, close), LASTING)
  else close()
}
