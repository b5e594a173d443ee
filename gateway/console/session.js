/** Whose profile this is, as the server tells it: the cookie is out of reach here. */

import { api } from "./api.js"
import { tell } from "./dom.js"
import { onRemembered, remember, remembered } from "./storage.js"

/** Dispatches "change", "ended" where that is the change, and "leaving" before it becomes another. */
export class Session extends EventTarget {
	id = null
	user = null
	hasEnded = false
	#google = null

	constructor() {
		super()
		api.addEventListener("ended", () => this.#end())
		onRemembered("session", (id) => this.id && id !== this.id && this.#leave()) // another tab signed in or out
	}

	/** Before anything else is asked: each read without a session would make a guest of its own. */
	async begin() {
		if (this.id) tell(this, "leaving")
		const whoever = { identity: {} } // what else is sent meanwhile still goes under the session that was, or nowhere
		const { session_id: id, authenticated, user } = await api.ask("GET", "/api/session/bootstrap", whoever)
		api.session = this.id = id
		this.user = authenticated ? user : null
		this.hasEnded = false
		remember("session", id)
		tell(this)
	}

	/** Google's; null where nobody can sign in. */
	async clientId() {
		this.#google ??= await api.get("/api/auth/config")
		return this.#google.google_enabled ? this.#google.google_client_id : null
	}

	/** By which the edits that wait in this browser are told apart. */
	get owner() {
		return this.user ? `user:${this.user.id}` : `guest:${this.id}`
	}

	/** Whether somebody has signed in, or chosen to be this guest. */
	get isWelcome() {
		return this.user !== null || remembered("welcome") === this.id
	}

	stayGuest() {
		remember("welcome", this.id)
		tell(this)
	}

	/** What came along. Throws Problem. */
	async signIn(credential) {
		const { adopted } = await api.ask("POST", "/api/auth/google", { body: { credential } })
		await this.begin()
		return adopted
	}

	/** Throws Problem. */
	async signOut() {
		await api.ask("POST", "/api/auth/logout", { body: {} })
		await this.begin()
	}

	#leave() {
		tell(this, "leaving")
		location.reload()
	}

	#end() {
		if (this.hasEnded) return
		this.hasEnded = true
		tell(this, "ended")
		tell(this)
	}
}
