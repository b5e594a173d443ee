/** Which view is shown stands in the address behind the #, so that a reload keeps the place. */

import { announce, replace, tell } from "./dom.js"
import { showFailure } from "./shell.js"

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

/** Dispatches "change" once another place is shown. */
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
		document.querySelector(".skip").onclick = (event) => {
			event.preventDefault() // what stands behind the # is a place
			this.main.focus()
		}
		history.scrollRestoration = "manual"
		addEventListener("scroll", () => this.#scrolled.set(location.hash, scrollY), { passive: true })
		void this.#show().then(() => (window.requestIdleCallback ?? setTimeout)(loadTheOthers))
	}

	check() {
		if (this.#view && this.#allowed().name !== this.place.name) void this.#show()
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
		const place = placeOf(location.hash)
		return this.app.session.isWelcome || OPEN_TO_ALL.includes(place.name) ? place : { ...place, name: "welcome" }
	}

	async #show() {
		const turn = (this.#turn += 1)
		const place = this.#allowed()
		const isMove = this.#view && place.name === this.place.name && this.#view.moveTo?.(place)
		if (!isMove) {
			const module = await VIEWS[place.name]().catch(() => null)
			if (turn !== this.#turn) return
			if (!module) return showFailure(this.main, "This view cannot be shown", "The server cannot be reached, or has another release now.")
			this.#open(module, place)
		}
		this.place = place
		document.title = `${this.#view.title} · ANIMAtiZE Director Console`
		tell(this)
	}

	#open(module, place) {
		const isFirst = this.#view === null
		this.#view?.dispose?.()
		this.#view = module.view(this.app, place)
		replace(this.main, this.#view.element)
		scrollTo(0, this.#scrolled.get(location.hash) ?? 0)
		this.#view.shown?.()
		if (!isFirst && !this.main.contains(document.activeElement)) this.#focus()
	}

	#focus() {
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
