/** How the console speaks to its server: JSON in and out, and every failure one kind of error. */

import { tell } from "./dom.js"

const PATIENCE = 30_000 // milliseconds; what takes longer brings a signal of its own

/** What the server answered (RFC 9457); `status` 0: nothing came. `retryAfter` is in seconds. */
export class Problem extends Error {
	constructor(status, value, retryAfter = 0) {
		super(value?.detail ?? (status ? `The server answered ${status}.` : "The server cannot be reached."))
		this.status = status
		this.code = value?.code
		this.value = value ?? {}
		this.retryAfter = retryAfter
	}

	/** Whether the same request may succeed later. */
	get isPassing() {
		return this.status === 0 || this.status === 429 || this.status >= 500
	}

	get isSessionEnd() {
		return this.code === "session_ended"
	}
}

/** Dispatches "ended" when the session is no more, or the cookie is of another. */
class Api extends EventTarget {
	session = null // its public id

	/** Gives the value of the answer. Under its `key` a write is done once, however often it is asked for. Throws Problem. */
	async ask(method, path, { body, key, signal, identity } = {}) {
		const headers = body === undefined ? {} : { "Content-Type": "application/json" }
		if (key) headers["Idempotency-Key"] = key
		const text = typeof body === "string" ? body : JSON.stringify(body)
		return readJson(await this.fetch(path, { method, body: text, headers, signal, identity }))
	}

	get(path) {
		return this.ask("GET", path)
	}

	/** The response of a success. Throws Problem. */
	async fetch(path, { signal = AbortSignal.timeout(PATIENCE), headers, identity = this.identity(), ...options } = {}) {
		const asked = this.session
		let response
		try {
			response = await fetch(path, { ...options, headers: { ...headers, ...identity }, signal, cache: "no-store" })
		} catch (error) {
			if (error.name === "AbortError") throw error
			throw new Problem(0)
		}
		if (response.ok) return response
		throw this.noticed(await problemOf(response), asked)
	}

	identity() {
		return this.session ? { "Animatize-Session": this.session } : {}
	}

	noticed(problem, asked) {
		if (problem.isSessionEnd && asked === this.session) tell(this, "ended")
		return problem
	}
}

async function problemOf(response) {
	const value = await response.json().catch(() => null) // a proxy's own page, say
	return new Problem(response.status, value, Number(response.headers.get("Retry-After")) || 0)
}

async function readJson(response) {
	try {
		return await response.json()
	} catch {
		throw new Problem(0) // cut off half way
	}
}

export const api = new Api()

/** A name for a write. (`randomUUID` is not there on plain http.) */
export function newKey() {
	const bytes = crypto.getRandomValues(new Uint8Array(16))
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
}
