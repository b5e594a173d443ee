/** Whose profile this is. The cookie itself is out of reach here; what is known of it is what the server tells. */

import { api } from "./api.js"
import { onRemembered, remember, remembered } from "./storage.js"

/** Dispatches "change" when it is somebody else's or has ended, and "ended" in the latter case. */
export class Session extends EventTarget {
  constructor() {
    super()
    this.id = null
    this.user = null
    this.google = null
    this.hasEnded = false
    api.addEventListener("ended", () => this.#end())
    onRemembered("session", (id) => this.id && id !== this.id && location.reload()) // another tab signed in or out
  }

  /** Asks who this is, before anything else is asked: a read without a session would make a new one, each its own. */
  async begin() {
    api.session = null
    const { value } = await api.get("/api/session/bootstrap")
    api.session = this.id = value.session_id
    remember("session", this.id)
    this.user = value.authenticated ? value.user : null
    this.hasEnded = false
    this.dispatchEvent(new Event("change"))
  }

  /** Google's client id, or null where nobody can sign in with Google. */
  async clientId() {
    this.google ??= (await api.get("/api/auth/config")).value
    return this.google.google_enabled ? this.google.google_client_id : null
  }

  /** Whose the edits are that wait in this browser: a user's for good, a guest's as long as its session. */
  get owner() {
    return this.user ? `user:${this.user.id}` : `guest:${this.id}`
  }

  /** Whether the person has chosen to work as this guest, or has signed in. */
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

  #end() {
    if (this.hasEnded) return
    this.hasEnded = true
    this.dispatchEvent(new Event("ended"))
    this.dispatchEvent(new Event("change"))
  }
}
