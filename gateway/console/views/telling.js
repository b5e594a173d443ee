/** How views tell when something was, and what went wrong where it was to be seen. */
import { h, replace } from "../dom.js"
import { ago, moment } from "../words.js"

export const when = (at) => h("time", { datetime: at, title: moment(at) }, ago(at))

/** Reads, now and as often as asked; `failure` is the place where it says why that fails. */
export function reading(work) {
  const failure = h("div")
  const read = async () => {
    try {
      await work()
      replace(failure)
    } catch ({ message }) {
      replace(failure, h("div", { class: "trouble", role: "alert" }, h("p", {}, message), h("button", { onclick: read }, "Try again")))
    }
  }
  void read()
  return { read, failure }
}

/** Does what a button asks for; gives whether it is done. */
export async function attempt({ notices }, work) {
  try {
    await work()
    return true
  } catch ({ message }) {
    notices.show(message, { tone: "error", id: "attempt" })
    return false
  }
}
