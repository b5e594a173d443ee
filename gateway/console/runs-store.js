/** Summaries of the newest runs that match a filter, kept in step by what was written and deleted since. */

import { api, Problem } from "./api.js"
import { tell } from "./dom.js"

const PATH = "/api/runs"
const TOPIC = "runs"
const PAGE = 60
const MANY = 300 // changes at once: beyond, the list is read again
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
		this.filter = NO_FILTER
		this.runs = [] // newest first
		this.isLoading = false
		this.isComplete = false
		this.problem = null
		outbox.addEventListener("answered", ({ detail }) => detail.entry.topic === TOPIC && this.#followSoon())
		outbox.addEventListener("refused", ({ detail }) => detail.entry.topic === TOPIC && this.reload())
	}

	get isFiltered() {
		return this.#differs(NO_FILTER)
	}

	run(id) {
		return this.runs.find((each) => each.run_id === id)
	}

	show(filter) {
		const wanted = Object.fromEntries(Object.entries(NO_FILTER).map(([name, none]) => [name, filter[name] || none]))
		const isNew = this.#differs(wanted)
		this.filter = wanted
		if (isNew || !(this.#isRead || this.isLoading)) void this.reload()
	}

	reload() {
		this.#turn += 1
		this.#cursor = null
		this.isComplete = false
		return this.#read(null, (page) => (this.runs = page))
	}

	async more() {
		if (this.isLoading || !this.#cursor) return
		await this.#read(this.#cursor, (page) => {
			const known = new Set(this.runs.map((run) => run.run_id))
			this.runs = [...this.runs, ...page.filter((run) => !known.has(run.run_id))]
		})
	}

	/** Once the server is there again. */
	async retry() {
		if (this.problem) await (this.#cursor ? this.more() : this.reload())
	}

	/** `token` is the latest that there is. */
	async follow(token) {
		const isFirst = this.#token === null
		this.#asked = token
		if (!isFirst) return token === this.#token || this.#followSoon()
		this.#token = token
		return this.#isRead && this.reload() // it may have been read before
	}

	setFavorite(run, variantId, favorite) {
		const path = `${pathOf(run.run_id)}/variants/${encodeURIComponent(variantId)}/favorite`
		this.outbox.add({ method: "PUT", path, body: { favorite }, topic: TOPIC })
		const known = this.run(run.run_id) ?? run
		const variants = known.variants.map((each) => (each.id === variantId ? { ...each, favorite } : each))
		this.#put([{ ...known, variants }])
	}

	remove(run) {
		this.outbox.add({ method: "DELETE", path: pathOf(run.run_id), topic: TOPIC })
		this.#drop([run.run_id])
	}

	/** How many there were. Throws Problem. */
	async clear(key) {
		const { deleted_runs: number } = await api.ask("DELETE", PATH, { key })
		await this.reload()
		return number
	}

	get #isRead() {
		return this.#cursor !== null || this.isComplete
	}

	#differs(filter) {
		return Object.keys(NO_FILTER).some((name) => this.filter[name] !== filter[name])
	}

	async #read(cursor, take) {
		const turn = this.#turn
		this.isLoading = true
		this.problem = null
		this.#changed("state")
		let page = null
		try {
			page = await api.get(`${PATH}?${this.#query(cursor)}`)
		} catch (problem) {
			if (!(problem instanceof Problem)) throw problem
			if (turn === this.#turn) this.problem = problem
		}
		if (turn !== this.#turn) return
		this.isLoading = false
		if (page) {
			take(page.runs.reverse())
			this.#cursor = page.next_cursor
			this.isComplete = page.next_cursor === null
		}
		this.#changed(this.problem ? "state" : cursor ? "more" : "list")
	}

	#query(cursor) {
		const given = Object.entries({ ...this.filter, cursor }).filter(([, value]) => value)
		return new URLSearchParams({ ...Object.fromEntries(given), view: "summary", limit: PAGE })
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
		const query = new URLSearchParams({ since: this.#token, view: "summary", limit: MANY })
		try {
			const { runs, deleted, token, has_more: isMuch } = await api.get(`${PATH}?${query}`)
			if (isMuch) return await this.#startOver()
			this.#token = token
			this.#drop(deleted)
			if (this.filter.q && runs.length) await this.reload() // only the server knows where a word is found
			else this.#put(runs)
		} catch (problem) {
			if (problem.status === 410) await this.#startOver()
			else if (!(problem instanceof Problem)) throw problem
		}
	}

	#startOver() {
		this.#token = this.#asked
		return this.reload()
	}

	#put(runs) {
		if (!runs.length) return
		const found = new Map(this.runs.map((run) => [run.run_id, run]))
		for (const run of runs) {
			if (this.#matches(run)) found.set(run.run_id, run)
			else found.delete(run.run_id)
		}
		const end = this.runs.at(-1)?.run_id
		const all = [...found.values()].sort(newestFirst)
		const last = all.findIndex((run) => run.run_id === end) // what is older comes with its page
		if (this.#isRead) this.runs = this.isComplete || last < 0 ? all : all.slice(0, last + 1)
		this.#changed("runs", runs.map((run) => run.run_id))
	}

	#drop(ids) {
		if (!ids.length) return
		const gone = new Set(ids)
		this.runs = this.runs.filter((run) => !gone.has(run.run_id))
		this.#changed("runs", ids)
	}

	#matches({ status, params, variants }) {
		const { filter } = this
		if (filter.status && status !== filter.status) return false
		if (filter.provider && params?.provider !== filter.provider) return false
		return !filter.favorite || variants?.some((variant) => variant.favorite === true)
	}

	#changed(kind, ids = []) {
		tell(this, "change", { kind, ids })
	}
}

export function pathOf(runId) {
	return `${PATH}/${encodeURIComponent(runId)}`
}

function newestFirst(one, other) {
	return instant(other) - instant(one) || (one.run_id < other.run_id ? 1 : -1)
}

/** A time without a zone is UTC; one that cannot be read counts as now. */
function instant({ created_at: text }) {
	const value = Date.parse(/Z|[+-]\d\d:?\d\d$/i.test(text) ? text : `${text}Z`)
	return Number.isNaN(value) ? Number.MAX_VALUE : value
}
