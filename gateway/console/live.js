/**
 * What changes on other devices (server-sent events), while somebody looks at the page: a browser has six connections to a
 * server in all. Not through EventSource, which does not say why it was refused.
 */

import { api } from "./api.js"
import { tell } from "./dom.js"

const FIRST_PAUSE = 1000 // milliseconds
const LONGEST_PAUSE = 10_000
const SILENCE = 40_000 // the server is heard every 15 s
const HIDDEN = 20_000 // a page that nobody sees lets go

/** Dispatches each topic with what is told of it, and "change" when `isConnected` is another. */
export class Live extends EventTarget {
	#abort = null
	#pause = FIRST_PAUSE
	#timer = null
	#isWanted = false
	isConnected = false

	constructor() {
		super()
		document.addEventListener("visibilitychange", () => this.#look())
		addEventListener("online", () => this.#connectIn(0))
	}

	begin() {
		this.#isWanted = true
		this.#connectIn(0)
	}

	end() {
		this.#isWanted = false
		clearTimeout(this.#timer)
		this.#abort?.abort()
	}

	#look() {
		clearTimeout(this.#timer)
		if (document.hidden) this.#timer = setTimeout(() => this.#abort?.abort(), HIDDEN)
		else this.#connectIn(0)
	}

	#connectIn(pause) {
		clearTimeout(this.#timer)
		if (!this.#isWanted || document.hidden || this.#abort) return
		this.#timer = setTimeout(() => void this.#connect(), pause)
	}

	async #connect() {
		this.#abort = new AbortController()
		const { retryAfter = 0, isSessionEnd = false } = await this.#listen().catch((problem) => problem)
		this.#abort = null
		this.#become(false)
		if (isSessionEnd) return this.end()
		this.#connectIn(Math.max(this.#pause, retryAfter * 1000))
		this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE)
	}

	/** Until the stream ends. Throws Problem where there is none. */
	async #listen() {
		const { body, headers } = await api.fetch("/api/events", { signal: this.#abort.signal })
		if (!headers.get("Content-Type")?.startsWith("text/event-stream")) return {}
		this.#become(true)
		this.#pause = FIRST_PAUSE
		for await (const { event, data } of events(body, this.#abort)) {
			tell(this, event, JSON.parse(data))
		}
		return {}
	}

	#become(isConnected) {
		if (this.isConnected === isConnected) return
		this.isConnected = isConnected
		tell(this)
	}
}

/** By the HTML standard's rules, for those that have one line of data. */
async function* events(stream, abort) {
	const reader = stream.pipeThrough(new TextDecoderStream()).getReader()
	let rest = ""
	for (;;) {
		const silence = setTimeout(() => abort.abort(), SILENCE)
		const { done, value } = await reader.read().finally(() => clearTimeout(silence))
		if (done) return
		const blocks = (rest + value).split("\n\n")
		rest = blocks.pop()
		for (const block of blocks) {
			const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/, 2)))
			if (fields.data) yield fields
		}
	}
}
