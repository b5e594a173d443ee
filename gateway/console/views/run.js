/** One run: its frame, its slate and its takes; read when it is opened, and again when it is changed elsewhere. */

import { confirm } from "../dialogs.js"
import { announce, copyOf, h, icon, replace, shortened, words } from "../dom.js"
import { isObject, same } from "../merging.js"
import { pathOf } from "../runs-store.js"
import { moment, shownValue } from "../words.js"
import { lastSeen, libraryHash } from "./library.js"
import { picture, providerOf, statusMark, takesOf, textOf } from "./run-parts.js"

const SWIPE = 60 // pixels

export function view({ api, live, notices, outbox, router, runs, settings }, place) {
	const { element, back, heading, remove, stage, frame, previous, next, failure, facts, ...below } = copyOf("run")
	const { compare, takes, prompt, parameters, raw, copy, payload } = below
	const left = new AbortController()
	let id, run, isRead, source, isCompared, startX

	function moveTo({ rest }) {
		if (left.signal.aborted) return false
		id = lastSeen.id = rest
		run = null
		isRead = false
		know(runs.run(id) ?? {})
		follow()
		void read()
		return true
	}

	async function read() {
		const asked = id
		await null // by then an edit of one's own is in the outbox, and until it is answered the server knows less
		if (isRead && isWriting()) return
		try {
			const found = await api.get(pathOf(id))
			if (asked !== id || left.signal.aborted || (isRead && isWriting())) return
			isRead = true
			know(found)
		} catch (problem) {
			if (asked === id) tell(problem)
		}
	}

	function isWriting() {
		return outbox.entries.some(({ topic }) => topic === "runs")
	}

	function tell({ status, message }) {
		if (status !== 404) return replace(failure, message, " ", h("button", { onclick: read }, "Try again"))
		left.abort()
		const hadFocus = element.contains(document.activeElement)
		const gone = copyOf("gone").element
		gone.append(back)
		replace(element, gone)
		if (hadFocus) back.focus()
	}

	function know(found) {
		if (failure.contains(document.activeElement)) heading.focus()
		replace(failure)
		if (same(run, found)) return
		run = found
		const image = `${pathOf(id)}/source-image`
		const wanted = run.source_image_data_url || run.source_image_url === image ? image : null
		if (wanted !== source || !frame.firstChild) replace(frame, picture(wanted, { alt: "Source frame", draggable: "false" }))
		source = wanted
		heading.textContent = titleOf(run)
		document.title = `${heading.textContent} · ANIMAtiZE Director Console`
		draw()
	}

	function draw() {
		const all = takesOf(run)
		define(facts, {
			Status: statusMark(run.status),
			Provider: providerOf(run),
			Model: all.find((take) => take.model)?.model,
			Preset: shownValue(["preferences", "defaultPreset"], textOf(run.preset)),
			Made: moment(run.created_at),
			"Run id": id,
		})
		const at = [...takes.querySelectorAll("button")].indexOf(document.activeElement)
		replace(takes, all.map(take))
		takes.querySelectorAll("button")[at]?.focus()
		replace(prompt, long(run.intent, 2000))
		define(parameters, isObject(run.params) ? run.params : { All: run.params })
		adapt()
	}

	function take({ id: name, label, status, favorite, provider, model, error, prompt_text: text }, index) {
		const star = h("button", { class: "bare", "aria-label": "Favourite", "aria-pressed": favorite === true }, icon("star"))
		star.onclick = () => choose(name, star)
		return h("article", { class: "panel", "aria-labelledby": `take-${index}` },
			words(textOf(label ?? name, "Untitled take"), 80, "h3", { id: `take-${index}` }),
			typeof name === "string" && star,
			h("p", { class: "quiet" }, statusMark(status), words(` · ${textOf(provider, "No provider")} ${textOf(model, "")}`, 80)),
			error && words(textOf(error), 1000, "p", { class: "bad" }),
			long(text, 300),
		)
	}

	function choose(name, star) {
		const favorite = star.ariaPressed !== "true"
		star.ariaPressed = favorite
		runs.setFavorite({ ...run, source_image_url: source }, name, favorite)
		run = { ...run, variants: run.variants.map((each) => (each.id === name ? { ...each, favorite } : each)) }
	}

	/** To the settings, and to what was chosen here. */
	function adapt() {
		const isBeside = isCompared ?? settings.value("preferences.autoOpenCompare")
		compare.ariaPressed = isBeside
		takes.className = isBeside ? "takes beside" : "takes"
		raw.hidden = !settings.value("developer.showRawPayload")
		if (raw.open) payload.textContent = shortened(JSON.stringify(run, withoutImages, 2), 200_000)
	}

	function neighbour(step) {
		const at = runs.runs.findIndex((each) => each.run_id === id)
		if (at > runs.runs.length - 4) void runs.more()
		return at < 0 ? undefined : runs.runs[at + step]
	}

	function go(step) {
		const to = neighbour(step)
		if (!to) return
		router.note(`#/run/${encodeURIComponent(to.run_id)}`)
		moveTo({ rest: to.run_id })
		announce(titleOf(to))
	}

	function follow() {
		previous.ariaDisabled = !neighbour(-1)
		next.ariaDisabled = !neighbour(1)
	}

	function changed({ detail: { kind, ids } }) {
		follow()
		if (ids.includes(id) || (isRead && kind === "list")) void read()
	}

	function pressed({ key, target, altKey, ctrlKey, metaKey }) {
		const step = { ArrowLeft: -1, ArrowRight: 1 }[key]
		const isTaken = altKey || ctrlKey || metaKey || target.closest("pre, dialog")
		if (step && !isTaken && settings.value("developer.enableKeyboardTimeline")) go(step)
	}

	function swiped({ clientX }) {
		const way = clientX - startX
		if (Math.abs(way) > SWIPE && settings.value("developer.gestureNavigation")) go(way < 0 ? 1 : -1)
	}

	async function ask() {
		const asked = id
		const text = "It goes from all devices, with its takes and its frame."
		const isMeant = await confirm({ title: "Delete this run?", text, yes: "Delete", no: "Keep" })
		if (!isMeant || asked !== id || left.signal.aborted) return // another has come under the question
		left.abort()
		lastSeen.id = (neighbour(1) ?? neighbour(-1))?.run_id
		runs.remove({ run_id: id })
		router.go(libraryHash(runs.filter))
		notices.show("The run is deleted.")
	}

	async function copyPayload() {
		try {
			await navigator.clipboard.writeText(payload.textContent)
			notices.show("Copied.")
		} catch {
			notices.show("The browser does not copy it: select the text instead.", { tone: "error" })
		}
	}

	back.href = libraryHash(runs.filter)
	remove.onclick = ask
	stage.onpointerdown = ({ clientX }) => (startX = clientX)
	stage.onpointerup = swiped
	previous.append(icon("left"))
	previous.onclick = () => go(-1)
	next.append(icon("right"))
	next.onclick = () => go(1)
	compare.onclick = () => {
		isCompared = compare.ariaPressed !== "true"
		adapt()
	}
	raw.ontoggle = adapt
	copy.onclick = copyPayload
	runs.addEventListener("change", changed, left)
	settings.addEventListener("change", adapt, left)
	live.addEventListener("change", () => failure.firstChild && read(), left)
	addEventListener("keydown", pressed, left)
	runs.show(runs.filter)
	moveTo(place)
	return { element, title: heading.textContent, moveTo, dispose: () => left.abort() }
}

function titleOf(run) {
	return shortened(textOf(run.intent, "Untitled run"), 90)
}

function define(list, values) {
	const entries = Object.entries(values).slice(0, 100)
	replace(list, entries.map(([name, value]) => h("div", {}, words(name, 80, "dt"), h("dd", { dir: "auto" }, shown(value)))))
}

function shown(value) {
	return value instanceof Node ? value : shortened(textOf(value), 400)
}

/** The beginning of a text, and the rest of it for who asks. */
function long(value, most) {
	const text = textOf(value, "")
	const beginning = words(text, most, "p")
	const more = h("button", { class: "small", "aria-expanded": false }, "Show all")
	more.onclick = () => {
		const isOpen = more.ariaExpanded !== "true"
		more.ariaExpanded = isOpen
		beginning.textContent = shortened(text, isOpen ? 100_000 : most)
	}
	return [beginning, text.length > most && more]
}

function withoutImages(_, value) {
	return typeof value === "string" && value.startsWith("data:") ? shortened(value, 60) : value
}
