/**
 * What changes on other devices (server-sent events), while somebody looks at the page: a browser has six connections to a
 * server in all. Not through EventSource, which does not say why it was refused.
 */

import { api } from "./api.js"

const FIRST_PAUSE = 1000 // milliseconds
const LONGEST_PAUSE = 30_000
const SILENCE = 40_000 // the server is heard every 15 s
const HIDDEN = 20_000 // a page that nobody sees lets go

/** Dispatches each topic with what is told of it, and "change" when `isConnected` is another. */
export class Live extends EventTarget {
  #abort = null
  #pause = FIRST_PAUSE
  #timer = null
  #isWanted = false

  constructor() {
    super()
    this.isConnected = false
    document.addEventListener("visibilitychange", () => this.#look())
    addEventListener("online", () => this.#connectSoon(0))
  }

  begin() {
    this.#isWanted = true
    this.#connectSoon(0)
  }

  end() {
    this.#isWanted = false
    clearTimeout(this.#timer)
    this.#abort?.abort()
  }

  #look() {
    clearTimeout(this.#timer)
    if (document.hidden) this.#timer = setTimeout(() => this.#abort?.abort(), HIDDEN)
    else this.#connectSoon(0)
  }

  #connectSoon(pause) {
    clearTimeout(this.#timer)
    if (this.#isWanted && !document.hidden && !this.#abort) this.#timer = setTimeout(() => void this.#connect(), pause)
  }

  async #connect() {
    this.#abort = new AbortController()
    let problem = null
    try {
      const response = await api.fetch("/api/events", { signal: this.#abort.signal })
      this.#become(true)
      this.#pause = FIRST_PAUSE
      for await (const { event, data } of events(response.body, () => this.#abort?.abort())) {
        this.dispatchEvent(new CustomEvent(event, { detail: data }))
      }
    } catch (error) {
      problem = error
    }
    this.#abort = null
    this.#become(false)
    if (problem?.isSessionEnd) return this.end()
    const pause = Math.max(this.#pause, (problem?.retryAfter ?? 0) * 1000)
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE)
    return this.#connectSoon(pause)
  }

  #become(isConnected) {
    if (this.isConnected === isConnected) return
    this.isConnected = isConnected
    this.dispatchEvent(new Event("change"))
  }
}

/** The events of a stream, by the HTML standard's rules for those that have one line of data. */
async function* events(stream, onSilence) {
  let timer = setTimeout(onSilence, SILENCE)
  let rest = ""
  try {
    for await (const piece of pieces(stream.pipeThrough(new TextDecoderStream()))) {
      clearTimeout(timer)
      timer = setTimeout(onSilence, SILENCE)
      const blocks = (rest + piece).split("\n\n")
      rest = blocks.pop()
      for (const block of blocks) {
        const fields = new Map(block.split("\n").map((line) => line.split(/: ?(.*)/, 2)))
        if (fields.has("data")) yield { event: fields.get("event"), data: JSON.parse(fields.get("data")) }
      }
    }
  } finally {
    clearTimeout(timer)
  }
}

/** Streams cannot be iterated everywhere yet. */
export async function* pieces(stream) {
  const reader = stream.getReader()
  try {
    for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) yield value
  } finally {
    await reader.cancel().catch(() => {}) // a stream that has failed has nothing more to cancel
  }
}
