/** Whose profile this is, as the server tells it: the cookie is out of reach here. */

import { api } from "./api.js"
import { onRemembered, remember, remembered } from "./storage.js"

/** Dispatches "change", "ended" where that is the change, and "leaving" before it becomes another. */
export class Session extends EventTarget {
  constructor() {
    super()
    this.id = null
    this.user = null
    this.google = null
    this.hasEnded = false
    api.addEventListener("ended", () => this.#end())
    onRemembered("session", (id) => this.id && id !== this.id && this.#leave()) // another tab signed in or out
  }

  /** Before anything else is asked: each read without a session would make a guest of its own. */
  async begin() {
    if (this.id) this.dispatchEvent(new Event("leaving"))
    api.session = null
    const { value } = await api.get("/api/session/bootstrap")
    api.session = this.id = value.session_id
    remember("session", this.id)
    this.user = value.authenticated ? value.user : null
    this.hasEnded = false
    this.dispatchEvent(new Event("change"))
  }

  /** Google's; null where nobody can sign in. */
  async clientId() {
    this.google ??= (await api.get("/api/auth/config")).value
    return this.google.google_enabled ? this.google.google_client_id : null
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
    this.dispatchEvent(new Event("change"))
  }

  async signIn(credential) {
    const { value } = await api.ask("POST", "/api/auth/google", { body: { credential } })
    await this.begin()
    return value
  }

  async signOut() {
    await api.ask("POST", "/api/auth/logout", { body: {} })
    await this.begin()
  }

  #leave() {
    this.dispatchEvent(new Event("leaving"))
    location.reload()
  }

  #end() {
    if (this.hasEnded) return
    this.hasEnded = true
    this.dispatchEvent(new Event("ended"))
    this.dispatchEvent(new Event("change"))
  }
}
