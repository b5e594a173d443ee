/** The debug overlay (a developer option): what the console believes at this moment. */

import { h, replace } from "./dom.js"

export function showDebug({ settings, session, outbox, live, runs }) {
	const overlay = h("aside", { class: "debug", "aria-label": "Debug overlay" })
	const update = () => {
		if (!settings.value("developer.enableDebugOverlay")) return overlay.remove()
		const facts = {
			session: session.id,
			owner: session.owner,
			settings: `v${settings.saved?.version ?? "?"} ${settings.state}`,
			outbox: `${outbox.state}, ${outbox.entries.length} waiting`,
			live: live.isConnected ? "connected" : "not connected",
			runs: `${runs.runs.length} loaded${runs.isComplete ? ", all" : ""}`,
		}
		replace(overlay, h("dl", {}, Object.entries(facts).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])))
		return overlay.isConnected || document.body.append(overlay)
	}
	for (const source of [settings, outbox, session, live, runs]) source.addEventListener("change", update)
}
