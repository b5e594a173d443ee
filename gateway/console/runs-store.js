/** Summaries of the newest runs that match a filter, kept in step by what was written and deleted since. */

import { api, Problem } from "./api.js"

const PAGE = 60
const MANY = 300 // changes at once: beyond, the first page is read again
const NO_FILTER = { q: "", status: "", provider: "", favorite: false }

/** Dispatches "change"; `detail.kind`: list (another) | more (a page at its end) | runs (those of `ids`) | state. */
export class RunsStore extends EventTarget {
  #token = null // up to where the server's changes are known
  #asked = null // the token that was told last
  #cursor = null
  #turn = 0 // what belongs to an earlier list comes too late
  #following = null
  #isBehind = false

  constructor(outbox) {
    super()
    this.outbox = outbox
    this.filter = { ...NO_FILTER }
    this.runs = [] // newest first
    this.isLoading = false
    this.isComplete = false
    this.problem = null
    outbox.addEventListener("answered", ({ detail }) => detail.entry.topic === "runs" && this.#followSoon())
    outbox.addEventListener("refused", ({ detail }) => detail.entry.topic === "runs" && this.reload())
  }

  get isFiltered() {
    return Object.keys(NO_FILTER).some((name) => this.filter[name] !== NO_FILTER[name])
  }

  run(id) {
    return this.runs.find((each) => each.run_id === id)
  }

  show(filter) {
    const wanted = { ...NO_FILTER, ...filter }
    const isNew = Object.keys(NO_FILTER).some((name) => this.filter[name] !== wanted[name])
    this.filter = wanted
    if (isNew || (!this.runs.length && !this.isLoading)) void this.reload()
  }

  async reload() {
    this.#turn += 1
    await this.#read(null, (page) => {
      this.runs = page
      return "list"
    })
  }

  async more() {
    if (this.isLoading || this.isComplete || this.#cursor === null) return
    await this.#read(this.#cursor, (page) => {
      const known = new Set(this.runs.map((run) => run.run_id))
      this.runs = [...this.runs, ...page.filter((run) => !known.has(run.run_id))]
      return "more"
    })
  }

  /** `token` is the latest that there is. */
  async follow(token) {
    const isFirst = this.#token === null
    this.#asked = token
    if (isFirst) {
      this.#token = token
      if (this.runs.length || this.isComplete) await this.reload() // which may have been read before
    } else if (token !== this.#token) {
      await this.#followSoon()
    }
  }

  setFavorite(run, variantId, favorite) {
    const known = this.run(run.run_id) ?? run
    const variants = known.variants.map((each) => (each.id === variantId ? { ...each, favorite } : each))
    this.#put([{ ...known, variants }])
    const path = `${pathOf(run.run_id)}/variants/${encodeURIComponent(variantId)}/favorite`
    this.outbox.add({ method: "PUT", path, body: { favorite }, topic: "runs", about: "a favourite" })
  }

  remove(run) {
    this.#drop([run.run_id])
    this.outbox.add({ method: "DELETE", path: pathOf(run.run_id), topic: "runs", about: "a deletion" })
  }

  /** Throws Problem. */
  async clear(key) {
    const { value } = await api.ask("DELETE", "/api/runs", { key })
    await this.reload()
    return value.deleted_runs
  }

  async #read(cursor, take) {
    const turn = this.#turn
    this.isLoading = true
    this.problem = null
    this.#changed("state")
    try {
      const { value } = await api.get(`/api/runs?${this.#query(cursor)}`)
      if (turn !== this.#turn) return
      this.#cursor = value.next_cursor
      this.isComplete = value.next_cursor === null
      this.isLoading = false
      this.#changed(take(value.runs.reverse()))
    } catch (error) {
      if (turn !== this.#turn) return
      this.isLoading = false
      this.problem = error instanceof Problem ? error : new Problem(0)
      this.#changed("state")
    }
  }

  #query(cursor) {
    const query = new URLSearchParams({ view: "summary", limit: PAGE })
    for (const name of ["q", "status", "provider"]) if (this.filter[name]) query.set(name, this.filter[name])
    if (this.filter.favorite) query.set("favorite", "true")
    if (cursor) query.set("cursor", cursor)
    return query
  }

  #followSoon() {
    this.#isBehind = true
    this.#following ??= this.#followAll().finally(() => (this.#following = null))
    return this.#following
  }

  async #followAll() {
    while (this.#isBehind && this.#token !== null) {
      this.#isBehind = false
      await this.#followOnce()
    }
  }

  async #followOnce() {
    try {
      const { value } = await api.get(`/api/runs?${new URLSearchParams({ since: this.#token, view: "summary", limit: MANY })}`)
      if (value.has_more) return await this.#startOver()
      this.#token = value.token
      this.#drop(value.deleted)
      if (this.filter.q && value.runs.length) await this.reload() // only the server knows where a word is found
      else this.#put(value.runs)
    } catch (error) {
      if (error.status === 410) await this.#startOver()
      else if (!(error instanceof Problem)) throw error
    }
  }

  async #startOver() {
    this.#token = this.#asked
    await this.reload()
  }

  #put(runs) {
    if (!runs.length) return
    const found = new Map(this.runs.map((run) => [run.run_id, run]))
    for (const run of runs) {
      if (this.#matches(run)) found.set(run.run_id, run)
      else found.delete(run.run_id)
    }
    const inOrder = [...found.values()].sort(newestFirst)
    const last = this.isComplete ? inOrder.length : lastKnown(inOrder, this.runs.at(-1))
    this.runs = inOrder.slice(0, last)
    this.#changed("runs", runs.map((run) => run.run_id))
  }

  #drop(ids) {
    if (!ids.length) return
    const gone = new Set(ids)
    this.runs = this.runs.filter((run) => !gone.has(run.run_id))
    this.#changed("runs", ids)
  }

  #matches(run) {
    const { status, provider, favorite } = this.filter
    return (
      (!status || run.status === status) &&
      (!provider || run.params?.provider === provider) &&
      (!favorite || run.variants?.some((variant) => variant.favorite === true))
    )
  }

  #changed(kind, ids = []) {
    this.dispatchEvent(new CustomEvent("change", { detail: { kind, ids } }))
  }
}

export function pathOf(runId) {
  return `/api/runs/${encodeURIComponent(runId)}`
}

/** What is older than the end of what was read comes with its page. */
function lastKnown(runs, end) {
  const place = runs.findIndex((run) => run.run_id === end?.run_id)
  return place < 0 ? runs.length : place + 1
}

function newestFirst(one, other) {
  const [a, b] = [instant(one), instant(other)]
  return b - a || (one.run_id < other.run_id ? 1 : -1)
}

/** A time without a zone is UTC; one that cannot be read counts as now. */
function instant(run) {
  const text = typeof run.created_at === "string" ? run.created_at : ""
  const value = Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(text) ? text : `${text}Z`)
  return Number.isNaN(value) ? Infinity : value
}
