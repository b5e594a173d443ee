/**
 * Edits on their way to the server: kept in this browser until each has its answer, sent in order, each under a key of its
 * own, so that it is done once however often the connection breaks, and never under anybody else's session.
 */

import { api, newKey, Problem } from "./api.js"
import { allRemembered, onRemembered, remember } from "./storage.js"

const NAME = "edit." // each for itself, so that two tabs never write over each other's
const FIRST_PAUSE = 1000 // milliseconds; doubled with each failure
const LONGEST_PAUSE = 30_000

/** `state`: idle | sending | waiting | ended. Dispatches "change", "answered" `{entry, value}`, "refused" `{entry, problem}`. */
export class Outbox extends EventTarget {
  #timer = null
  #pause = FIRST_PAUSE

  constructor(session) {
    super()
    this.session = session
    this.state = "idle"
    this.reason = null // the Problem for which it waits
    onRemembered(NAME, () => this.#changed())
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

  /** `topic` says whose it is, `about` in words what. */
  add({ method, path, body, topic, about }) {
    const at = performance.timeOrigin + performance.now()
    const entry = { id: newKey(), owner: this.session.owner, at, method, path, topic, about, body: JSON.stringify(body) }
    remember(NAME + entry.id, entry)
    this.#changed()
    void this.drain()
  }

  async drain() {
    if (this.state === "sending" || this.session.hasEnded) return this.#settle()
    clearTimeout(this.#timer)
    for (let entry = this.entries[0]; entry; entry = this.entries[0]) {
      this.#become("sending")
      const problem = await this.#send(entry)
      if (problem?.isSessionEnd) return this.#become("ended", problem)
      if (problem?.isPassing) return this.#wait(problem)
      this.#pause = FIRST_PAUSE
    }
    return this.#become("idle")
  }

  retry() {
    if (this.state === "waiting" || this.state === "ended" || this.state === "idle") {
      this.#become("idle")
      void this.drain()
    }
  }

  discard(entries) {
    for (const { id } of entries) remember(NAME + id, null)
    this.#changed()
  }

  /** Makes the edits of a guest that has gone this session's own. */
  adopt(entries) {
    for (const entry of entries) {
      const id = newKey()
      remember(NAME + id, { ...entry, id, owner: this.session.owner, path: entry.path.split("?")[0] })
      remember(NAME + entry.id, null)
    }
    this.retry()
  }

  async #send(entry) {
    try {
      const { value } = await api.ask(entry.method, entry.path, { body: entry.body, key: entry.id })
      this.discard([entry])
      this.dispatchEvent(new CustomEvent("answered", { detail: { entry, value } }))
      return null
    } catch (error) {
      const problem = error instanceof Problem ? error : new Problem(0)
      if (problem.isPassing || problem.isSessionEnd) return problem
      this.discard([entry])
      this.dispatchEvent(new CustomEvent("refused", { detail: { entry, problem } }))
      return problem
    }
  }

  #wait(problem) {
    const pause = Math.max(this.#pause, (problem.retryAfter ?? 0) * 1000)
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE)
    this.#timer = setTimeout(() => this.retry(), pause)
    this.#become("waiting", problem)
  }

  #settle() {
    if (this.session.hasEnded && this.state !== "sending") this.#become("ended")
  }

  #become(state, reason = null) {
    this.state = state
    this.reason = reason
    this.#changed()
  }

  #changed() {
    this.dispatchEvent(new Event("change"))
  }
}

function all() {
  return allRemembered(NAME).sort((one, other) => one.at - other.at)
}
