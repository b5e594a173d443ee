/** What a document would change; its import, followed to its end whatever breaks; what came in. */

import { api, newKey, Problem } from "../api.js"
import { copyOf, h, replace, words } from "../dom.js"
import { remember, remembered } from "../storage.js"
import { bytes, STAGES } from "../words.js"
import { bounded, PATH, refresh, swap, undoing } from "./earlier.js"
import { inWords } from "./plans.js"

const PAUSE = 1000 // milliseconds, before asking again

export function importPart(app) {
	const { element, area, input, place } = copyOf("import")
	const { owner } = app.session

	function show(title, ...children) {
		place.setAttribute("aria-label", title)
		swap(place, h("h3", {}, title), children)
		app.announce(title, { always: true })
	}

	function choose({ type, dataTransfer, target }) {
		area.classList.toggle("over", type === "dragover")
		const [file] = type.startsWith("drag") ? [] : (dataTransfer ?? target).files
		if (file) show("What this would change", preview(file, bring, cancel))
		input.value = "" // the same one may be chosen again
	}

	function cancel() {
		replace(place).removeAttribute("aria-label")
		input.focus()
	}

	async function bring(order) {
		const again = order.file && h("button", { onclick: () => bring(order) }, "Try again")
		area.hidden = true
		remember("import", { key: order.key, owner })
		try {
			const entry = await followed(app, order, show)
			if (entry.stage === "done") tellDone(entry)
			else show("Not imported", entry.outcome?.problem?.detail ?? STAGES[entry.stage], again)
			remember("import", null)
		} catch (problem) {
			show(problem.isSessionEnd ? "Import not seen to its end" : "Not imported", trouble(problem), again)
			if (!problem.isSessionEnd) remember("import", null)
		}
		area.hidden = false
	}

	function tellDone(entry) {
		const needsKeys = entry.outcome.warnings.some(({ pointer }) => /^.(api|sealed)_/.test(pointer))
		const keys = needsKeys && h("a", { href: "#/settings/api" }, "Enter the keys")
		const ways = h("p", { class: "buttons start" }, h("a", { href: "#/library" }, "See the library"), keys)
		show("What came in", told(entry.outcome), ways, undoing(app, entry, "Undo this import"))
		refresh(app)
	}

	area.ondragover = area.ondragleave = area.ondrop = input.onchange = choose
	const left = remembered("import")
	if (left?.owner === owner) void bring(left)
	return element
}

/** The form that tells it, and asks anew whenever something is chosen otherwise. */
function preview(file, bring, cancel) {
	const { element, name, sealed, result, start, cancel: leave } = copyOf("preview")
	let order = {}
	let leaving = new AbortController()

	async function look() {
		leaving.abort()
		leaving = new AbortController()
		const { signal } = leaving
		const bar = h("progress", { "aria-label": "Reading" })
		start.disabled = true
		replace(result, "Reading…", bar)
		try {
			const answer = await upload(order, "&dry_run=true", (share) => (bar.value = share), signal)
			sealed.hidden &&= !answer.warnings.some(({ pointer }) => /^$|^.sealed/.test(pointer))
			replace(result, told(answer))
			start.disabled = false
		} catch (problem) {
			if (signal.aborted) return
			replace(result, trouble(problem), problem.isPassing && h("button", { type: "button", onclick: look }, "Try again"))
			if (problem.code === "restore_under_way") setTimeout(() => signal.aborted || look(), PAUSE)
		}
	}

	function lookIfOther(event) {
		event?.preventDefault()
		const { mode, passphrase } = Object.fromEntries(new FormData(element))
		if (mode === order.mode && passphrase === order.passphrase) return
		order = { file, mode, passphrase }
		void look()
	}

	name.append(words(file.name, 120), ` · ${bytes(file.size)}`)
	element.onchange = element.onsubmit = lookIfOther
	start.onclick = () => bring({ ...order, key: newKey() })
	leave.onclick = () => {
		leaving.abort()
		cancel()
	}
	lookIfOther()
	return element
}

function told(outcome) {
	return [inWords(outcome).map((text) => h("p", {}, text)), places(outcome.warnings)]
}

function trouble({ message, value }) {
	return h("div", { class: "bad" }, message, places(value?.errors))
}

function places(all = []) {
	return bounded(all.map(({ pointer, message }) => h("li", {}, words(message), " ", words(pointer, 80, "code"))), 10)
}

/** As api.ask, but of a file, telling the share of it that was sent. */
function upload({ file, mode, passphrase, key }, query, tell, signal) {
	const asked = api.session
	const headers = { "Content-Type": "application/json", ...api.identity() }
	if (passphrase) headers["Animatize-Backup-Passphrase"] = encodeURIComponent(passphrase)
	if (key) headers["Idempotency-Key"] = key
	const request = new XMLHttpRequest()
	request.open("POST", `${PATH}?mode=${mode}${query}`)
	request.responseType = "json"
	for (const header of Object.entries(headers)) request.setRequestHeader(...header)
	request.upload.onprogress = ({ loaded, total }) => tell(loaded / total)
	signal?.addEventListener("abort", () => request.abort())
	request.send(file)
	return new Promise((resolve, reject) => {
		request.onloadend = () => {
			const { status, response } = request
			if (response && status === 200) resolve(response)
			else reject(api.noticed(new Problem(status === 200 ? 0 : status, response), asked))
		}
	})
}

/** What the journal tells once it has ended. Throws the Problem for which it was refused. */
async function followed({ live }, order, show) {
	const { element, note, ...steps } = copyOf("stages")
	const tell = (stage) => {
		for (const [name, step] of Object.entries(steps)) step.setAttribute("aria-current", name === stage && "step")
	}
	const progress = (share) => {
		steps.sending.textContent = `Sending ${Math.floor(share * 100)} %`
		tell(share < 1 ? "sending" : "staging")
	}
	let isOver = !order.file
	let refusal = null
	show("Import under way", ...element.childNodes)
	tell(isOver ? "staging" : "sending")
	if (!isOver) upload(order, "", progress).catch((problem) => (refusal = problem)).finally(() => (isOver = true))
	for (;;) {
		await news(live)
		const wasOver = isOver
		if (refusal && !refusal.isPassing) throw refusal
		try {
			const entry = await api.get(`${PATH}s/${order.key}`)
			if (["done", "aborted", "failed"].includes(entry.stage)) return entry
			if (entry.stage !== "staging") tell(entry.stage) // it begins while the file is being sent
			note.textContent = ""
		} catch (problem) {
			const isUnknown = problem.status === 404
			if (isUnknown && wasOver && refusal?.status) throw refusal // it never came as far as the journal
			if (isUnknown && wasOver) return { stage: "aborted" }
			if (!isUnknown && !problem.isPassing) throw problem
			note.textContent = isUnknown ? "" : `${problem.message} Asking again…`
		}
	}
}

function news(live) {
	return new Promise((resolve) => {
		live.addEventListener("restore", resolve, { once: true })
		setTimeout(resolve, PAUSE)
	})
}
