/** Which view is shown stands in the address behind the #, so that a reload keeps the place. */

import { announce, h, replace } from "./dom.js"

const VIEWS = {
  welcome: () => import("./views/welcome.js"),
  library: () => import("./views/library.js"),
  run: () => import("./views/run.js"),
  settings: () => import("./views/settings.js"),
  history: () => import("./views/history.js"),
  devices: () => import("./views/devices.js"),
  "old-console": () => import("./views/old-console.js"),
}
const OPEN_TO_ALL = ["welcome", "old-console"]
const FIRST = "library"

/** `#/run/R%201?take=2` as `{name: "run", rest: "R 1", query}`. */
export function placeOf(hash) {
  const [path, query = ""] = hash.replace(/^#\/?/, "").split("?")
  const [name, ...rest] = path.split("/")
  return { name: Object.hasOwn(VIEWS, name) ? name : FIRST, rest: decoded(rest.join("/")), query: new URLSearchParams(query) }
}

function decoded(text) {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Dispatches "change" once another view is shown. */
export class Router extends EventTarget {
  #view = null
  #turn = 0
  #scrolled = new Map()

  constructor(main, app) {
    super()
    this.main = main
    this.app = app
    this.place = placeOf(location.hash)
  }

  begin() {
    addEventListener("hashchange", () => void this.#show())
    history.scrollRestoration = "manual"
    addEventListener("scroll", () => this.#scrolled.set(location.hash, scrollY), { passive: true })
    void this.#show().then(() => (window.requestIdleCallback ?? setTimeout)(loadTheOthers))
  }

  check() {
    if (this.#view && this.#allowed() !== this.place.name) void this.#show()
  }

  go(hash) {
    if (location.hash === hash) void this.#show()
    else location.hash = hash
  }

  /** Changes the address alone. */
  note(hash) {
    history.replaceState(null, "", hash)
    this.place = placeOf(hash)
  }

  #allowed() {
    const { name } = placeOf(location.hash)
    return this.app.session.isWelcome || OPEN_TO_ALL.includes(name) ? name : "welcome"
  }

  async #show() {
    const turn = (this.#turn += 1)
    const isFirst = this.#view === null
    const place = { ...placeOf(location.hash), name: this.#allowed() }
    if (!isFirst && place.name === this.place.name && this.#view.moveTo?.(place)) {
      this.place = place
      return
    }
    const module = await this.#load(place.name)
    if (turn !== this.#turn || !module) return
    this.#view?.dispose?.()
    this.place = place
    this.#view = module.view(this.app, place)
    replace(this.main, this.#view.element)
    document.title = `${this.#view.title} · ANIMAtiZE Director Console`
    scrollTo(0, this.#scrolled.get(location.hash) ?? 0)
    this.#view.shown?.()
    if (!isFirst) this.#focus()
    this.dispatchEvent(new Event("change"))
  }

  async #load(name) {
    try {
      return await VIEWS[name]()
    } catch {
      const again = h("button", { class: "primary", onclick: () => location.reload() }, "Load the page again")
      const why = h("p", {}, "The server cannot be reached, or the console has another release now.")
      replace(this.main, h("section", { class: "failure", role: "alert" }, h("h1", {}, "This view cannot be shown"), why, again))
      return null
    }
  }

  #focus() {
    if (this.main.contains(document.activeElement)) return
    const heading = this.main.querySelector("h1")
    heading?.setAttribute("tabindex", "-1")
    heading?.focus({ preventScroll: true })
    announce(this.#view.title)
  }
}

/** So that they open offline as well. */
function loadTheOthers() {
  for (const load of Object.values(VIEWS)) load().catch(() => {})
}
