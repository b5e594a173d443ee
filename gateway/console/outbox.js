/**
 * Edits on their way to the server: kept in this browser until each has its answer, sent in order, each under a key of its
 * own, so that it is done once however often the connection breaks, and never under anybody else's session.
 */

import { api, newKey, Problem } from "./api.js"
import { tell } from "./dom.js"
import { isObject } from "./merging.js"
import { allRemembered, onRemembered, remember, remembered } from "./storage.js"

const NAME = "edit." // each for itself, so that two tabs never write over each other's
const AWAY = [0, 502, 503, 504] // statuses
const FIRST_PAUSE = 1000 // milliseconds; doubled with each failure
const LONGEST_PAUSE = 10_000

/** `state`: idle | sending | waiting | ended. Dispatches "change", "answered" `{entry, value}`, "refused" `{entry, problem}`. */
export class Outbox extends EventTarget {
	#timer = null
	#pause = FIRST_PAUSE
	#notBefore = 0

	constructor(session) {
		super()
		this.session = session
		this.state = "idle"
		this.isAway = false // whether nobody answers, where it waits
		onRemembered(NAME, () => this.#become(this.state))
		addEventListener("online", () => this.retry())
		session.addEventListener("change", () => this.retry())
	}

	/** What waits under this session, the oldest first. */
	get entries() {
		return all().filter((entry) => entry.owner === this.session.owner)
	}

	/** What a guest had not sent whose session has ended. */
	get orphans() {
		return all().filter((entry) => entry.owner.startsWith("guest:") && entry.owner !== this.session.owner)
	}

	/** `topic` says whose it is. */
	add({ method, path, body, topic }) {
		const at = performance.timeOrigin + performance.now()
		keep({ at, method, path, topic, body: JSON.stringify(body) }, this.session.owner)
		this.#become(this.state)
		void this.drain()
	}

	async drain() {
		if (this.#isBusy) return
		clearTimeout(this.#timer)
		if (this.session.hasEnded) return this.#become("ended")
		for (let entry = this.entries[0]; entry; entry = this.entries[0]) {
			this.#become("sending")
			const problem = await this.#send(entry)
			if (problem?.isSessionEnd) return this.#become("ended")
			if (problem?.isPassing) return this.#wait(problem)
			this.#pause = FIRST_PAUSE
		}
		return this.#become("idle")
	}

	retry() {
		if (this.#isBusy) return
		this.#become("idle")
		void this.drain()
	}

	discard(entries) {
		for (const { id } of entries) remember(NAME + id, null)
		this.#become(this.state)
	}

	/** Makes the edits of a guest that has gone this session's own. */
	adopt(entries) {
		for (const entry of entries) keep({ ...entry, path: entry.path.split("?")[0] }, this.session.owner)
		this.discard(entries)
		this.retry()
	}

	async #send(entry) {
		try {
			const value = await api.ask(entry.method, entry.path, { body: entry.body, key: entry.id })
			this.#end("answered", { entry, value })
			return null
		} catch (problem) {
			if (!(problem instanceof Problem)) throw problem
			if (!problem.isPassing && !problem.isSessionEnd) this.#end("refused", { entry, problem })
			return problem
		}
	}

	#end(how, detail) {
		this.discard([detail.entry])
		tell(this, how, detail)
	}

	/** Also while the server has asked for a pause. */
	get #isBusy() {
		return this.state === "sending" || Date.now() < this.#notBefore
	}

	#wait({ status, retryAfter }) {
		this.#notBefore = Date.now() + retryAfter * 1000
		this.#timer = setTimeout(() => this.retry(), Math.max(this.#pause, retryAfter * 1000))
		this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE)
		this.isAway = AWAY.includes(status)
		this.#become("waiting")
	}

	#become(state) {
		this.state = state
		tell(this)
	}
}

function keep(entry, owner) {
	const id = newKey()
	remember(NAME + id, { ...entry, id, owner })
}

function all() {
	return allRemembered(NAME).filter(isEntry).sort((one, other) => one.at - other.at)
}

/** Not what another hand has put there: what cannot be told to be done would be sent for ever. */
function isEntry({ id, owner, method, path, body = "{}" }) {
	try {
		return [id, owner, method, path].every((each) => typeof each === "string") && remembered(NAME + id) && isObject(JSON.parse(body))
	} catch {
		return false
	}
}
