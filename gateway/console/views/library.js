/** The contact sheet: every run as its frame and a few words, the newest first. */

import { newKey } from "../api.js"
import { confirm } from "../dialogs.js"
import { announce, copyOf, h, icon, replace, words } from "../dom.js"
import { counted, moment } from "../words.js"
import { picture, providerOf, statusMark, takesOf, textOf } from "./run-parts.js"

const cards = new Map() // by run id; they outlive the view: coming back to thousands is quick
export const lastSeen = {} // `id` of the run from whose card the keyboard goes on

export function libraryHash(filter) {
	const query = new URLSearchParams(Object.entries(filter).filter(([, value]) => value))
	return query.size ? `#/library?${query}` : "#/library"
}

export function view({ api, notices, router, runs, settings }, place) {
	const { element, heading, count, clear, filters, q, status, provider, favorite, all, list, message, older } = copyOf("library")
	const left = new AbortController()
	const end = new IntersectionObserver((seen) => seen.at(-1).isIntersecting && more(), { rootMargin: "1200px" })
	let filter, timer, wanted

	function moveTo({ query }) {
		filter = Object.fromEntries(query)
		ask()
		return true
	}

	function askSoon({ target: { name, value } }) {
		filter[name] = value
		clearTimeout(timer)
		timer = setTimeout(ask, 250)
	}

	function ask(change) {
		wanted = "reload"
		Object.assign(filter, change)
		router.note(libraryHash(filter))
		runs.show(filter)
		show()
	}

	function more() {
		wanted = "more"
		void runs.more()
	}

	/** The keyboard stays where it is or, where that goes, near. */
	function changed({ detail }) {
		const at = document.activeElement
		const last = at === older ? list.lastChild : null
		if (detail.kind !== "state") arrange(list, runs.runs)
		show()
		if (last?.nextSibling) last.nextSibling.querySelector("a").focus()
		else if (!at.checkVisibility()) heading.focus({ preventScroll: true })
	}

	function show() {
		const { runs: { length }, problem, isLoading, isComplete, isFiltered } = runs
		const isOpen = !problem && (isLoading || !isComplete)
		for (const field of [q, status, provider]) field.value = filter[field.name] ?? ""
		favorite.ariaPressed = Boolean(filter.favorite)
		all.hidden = !isFiltered
		tell(length || !isOpen ? `${counted(length, "run")} shown` : "")
		list.ariaBusy = isLoading
		if (!length) replace(list, isOpen && Array.from({ length: 12 }, () => h("li")))
		const isEmpty = !problem && !length && !isOpen
		replace(message, problem && failure(), isEmpty && copyOf(isFiltered ? "nothing-found" : "no-runs").element)
		older.hidden = !length || isComplete || problem
		end.unobserve(older) // observed anew, it tells anew whether it is near
		end.observe(older)
	}

	function tell(text) {
		if (count.textContent === text) return
		count.textContent = text
		announce(text)
	}

	/** Stands where the person looks. */
	function failure() {
		if (wanted === "more") list.after(message)
		else list.before(message)
		const again = h("button", { onclick: () => runs[wanted]() }, "Try again")
		return h("div", { class: "empty", role: "alert" }, h("h2", {}, "The runs cannot be read"), runs.problem.message, again)
	}

	async function clearAll() {
		const text = "Every run is deleted, on all devices, whether it is shown here or not."
		const question = { title: "Clear all runs?", text, yes: "Clear all", no: "Keep" }
		if (settings.value("behavior.confirmBeforeClear") && !(await confirm(question))) return
		try {
			notices.show(`${counted(await runs.clear(newKey()), "run")} deleted.`)
		} catch (problem) {
			notices.show(`The runs are not cleared: ${problem.message}`, { tone: "error" })
		}
	}

	async function nameProviders() {
		const { providers } = await api.get("/api/providers")
		provider.append(...providers.map(({ id, label }) => h("option", { value: id }, label)))
		provider.value = filter.provider ?? ""
	}

	function dispose() {
		clearTimeout(timer)
		end.disconnect()
		left.abort()
	}

	function shown() {
		cards.get(lastSeen.id)?.querySelector("a").focus()
		lastSeen.id = null
	}

	clear.onclick = clearAll
	filters.oninput = askSoon
	favorite.prepend(icon("star"))
	favorite.onclick = () => ask({ favorite: !filter.favorite && "true" })
	all.onclick = () => router.go("#/library")
	older.onclick = more
	runs.addEventListener("change", changed, left)
	arrange(list, runs.runs)
	moveTo(place)
	nameProviders().catch(() => {}) // the rest can be used without
	return { element, title: "Library", moveTo, dispose, shown }
}

/** What stays in its place is not touched, so that the keyboard stays as well. */
function arrange(list, runs) {
	const wanted = new Set(runs.map((run) => run.run_id))
	for (const [id, card] of cards) {
		if (wanted.has(id)) continue
		card.remove()
		cards.delete(id)
	}
	let place = list.firstChild
	for (const run of runs) {
		const card = cardOf(run)
		if (card === place) place = place.nextSibling
		else list.insertBefore(card, place)
	}
	while (list.children.length > runs.length) list.lastChild.remove()
}

function cardOf(run) {
	const id = run.run_id
	const card = cards.get(id) ?? h("li")
	if (card.run === run) return card
	const hasFocus = card.contains(document.activeElement)
	const link = h("a", { href: `#/run/${encodeURIComponent(id)}` }, words(textOf(run.intent, "Untitled run"), 300))
	const frame = h("div", {}, picture(run.source_image_url, { loading: "lazy" }))
	const facts = [statusMark(run.status), h("time", {}, moment(run.created_at)), words(providerOf(run), 40), numberOf(takesOf(run))]
	replace(card, h("article", {}, frame, link, h("p", {}, facts)))
	if (hasFocus) link.focus()
	card.run = run
	cards.set(id, card)
	return card
}

function numberOf(takes) {
	const star = takes.some((take) => take.favorite === true) && [icon("star"), h("span", { class: "unseen" }, "Favourite, ")]
	return h("span", {}, star, counted(takes.length, "take"))
}
