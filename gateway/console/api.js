/** How the console speaks to its server: JSON in and out, and every failure one kind of error. */

const PATIENCE = 30_000 // milliseconds for an answer; longer ones (backups, restores) bring a signal of their own

/** What the server answered (RFC 9457), or that nothing came at all: `status` 0. */
export class Problem extends Error {
  constructor(status, value, retryAfter = null) {
    super(value?.detail ?? (status ? `The server answered ${status}.` : "The server cannot be reached."))
    this.status = status
    this.code = value?.code ?? (status ? "unknown" : "unreachable")
    this.value = value ?? {}
    this.retryAfter = retryAfter
  }

  /** Whether the same request may succeed later: nobody answered, nobody could, or it was one too many. */
  get isPassing() {
    return this.status === 0 || this.status === 429 || this.status >= 500
  }

  get isSessionEnd() {
    return this.status === 401 && this.code === "session_ended"
  }
}

/** Dispatches "ended" when an answer says that the session is no more, or is another than the one set in `session`. */
class Api extends EventTarget {
  session = null // its public id, without which a cookie that another tab has changed would be somebody else's profile

  /**
   * Asks, and gives `{status, value, etag}`. `key` is the name under which a write is done once, however often it is
   * asked for. A `body` that is a string is JSON already. Throws Problem.
   */
  async ask(method, path, { body, key, headers = {}, signal, type = "application/json" } = {}) {
    const all = { ...headers }
    if (body !== undefined) all["Content-Type"] = type
    if (key) all["Idempotency-Key"] = key
    const sent = body === undefined || typeof body === "string" ? body : JSON.stringify(body)
    const response = await this.fetch(path, { method, body: sent, headers: all, signal })
    const value = response.status === 304 || response.status === 204 ? null : await readJson(response)
    return { status: response.status, value, etag: response.headers.get("ETag") }
  }

  get(path, options) {
    return this.ask("GET", path, options)
  }

  /** The response itself, for what is read as it comes. Throws Problem for every answer that is no success. */
  async fetch(path, { signal = AbortSignal.timeout(PATIENCE), headers, ...options } = {}) {
    const asked = this.session
    const all = { ...headers, ...this.identity() }
    let response
    try {
      response = await fetch(path, { ...options, headers: all, signal, cache: "no-store", credentials: "same-origin" })
    } catch (error) {
      if (error.name === "AbortError") throw error
      throw new Problem(0)
    }
    if (response.ok || response.status === 304) return response
    throw this.noticed(await problemOf(response), asked)
  }

  identity() {
    return this.session ? { "Animatize-Session": this.session } : {}
  }

  /** Tells whoever listens that the session has ended, where that is what the problem says of the one there is now. */
  noticed(problem, asked) {
    if (problem.isSessionEnd && asked === this.session) this.dispatchEvent(new Event("ended"))
    return problem
  }
}

async function problemOf(response) {
  const seconds = Number(response.headers.get("Retry-After"))
  const value = await response.json().catch(() => null) // a proxy's own page, say
  return new Problem(response.status, value, seconds > 0 ? seconds : null)
}

async function readJson(response) {
  try {
    return await response.json()
  } catch {
    throw new Problem(0) // cut off half way
  }
}

export const api = new Api()

/** A name for a write that nobody gave before. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
}
