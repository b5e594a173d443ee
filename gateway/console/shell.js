/** What stands around every view: the ways through the console, and how the edits stand. */

import { showConflict } from "./conflict.js"
import { announce, h, icon, replace } from "./dom.js"
import { counted, named } from "./words.js"

const WAYS = { library: "frames", settings: "dials", history: "clock", devices: "devices" }
const TEXTS = { conflict: "Conflict", unsaved: "Unsaved", refused: "Not saved", saving: "Saving…" }

export function showNavigation({ router, session }) {
	const navigation = document.getElementById("navigation")
	const links = Object.entries(WAYS).map(([name, shape]) => h("a", { href: `#/${name}` }, icon(shape), h("span", {}, named(name))))
	replace(navigation, links)
	const update = () => {
		const name = router.place.name === "run" ? "library" : router.place.name
		navigation.hidden = !session.isWelcome
		for (const link of links) link.ariaCurrent = link.hash === `#/${name}` ? "page" : null
	}
	for (const source of [router, session]) source.addEventListener("change", update)
	update()
}

export function showSync(app) {
	const place = document.getElementById("sync")
	const update = () => {
		const [state, text] = syncState(app)
		if (text === place.textContent) return
		place.dataset.state = state
		const decide = () => void showConflict(app, { again: true })
		replace(place, state === "conflict" ? h("button", { class: "small", onclick: decide }, text) : text)
		if (state === "refused" || state === "ended") announce(text, { always: true })
	}
	for (const source of [app.settings, app.outbox, app.session]) source.addEventListener("change", update)
	update()
}

function syncState({ settings, outbox, session }) {
	const kept = settings.unsent ? ` · ${counted(settings.unsent, "edit")} kept` : ""
	if (session.hasEnded) return ["ended", `Session ended${kept}`]
	if (outbox.state === "waiting") return ["offline", `${outbox.isAway ? "Offline" : "Server trouble"}${kept}`]
	const state = outbox.entries.length && settings.state === "saved" ? "saving" : settings.state
	return [state, TEXTS[state] ?? (settings.saved ? `Saved v${settings.saved.version}` : "")]
}

export function showFailure(main, title, why) {
	const again = h("button", { class: "primary", onclick: () => location.reload() }, "Load the page again")
	replace(main, h("section", { class: "failure", role: "alert" }, h("h1", {}, title), h("p", {}, why), again))
}
