/** What is to be told of before: edits of a session that has ended, what a sign-in brought along. */

import { remember, remembered } from "./storage.js"
import { counted } from "./words.js"

const NEXT_TIME = "next-time"

/** Once the page is loaded again, as it is for another profile. */
export function tellNextTime(text) {
	remember(NEXT_TIME, text)
}

export function tellWhatWasLeft({ notices }) {
	const text = remembered(NEXT_TIME)
	if (text) notices.show(text)
	remember(NEXT_TIME, null)
}

/** A guest's session cannot come back: its edits are sent as somebody else's or not at all. */
export function tellKeptEdits({ notices, outbox, session }) {
	const { orphans } = outbox
	if (!orphans.length || !session.isWelcome) return
	const actions = [
		{ label: "Apply here", act: () => outbox.adopt(orphans) },
		{ label: "Discard", act: () => outbox.discard(orphans) },
	]
	notices.show(`Kept in this browser: ${counted(orphans.length, "edit")} of a guest session that has ended.`, { id: "kept", actions })
}

export function tellSessionEnd({ notices, settings, router, session }) {
	const kept = settings.unsent ? ` Kept in this browser: ${counted(settings.unsent, "edit")}.` : ""
	const end = session.user ? "This session has ended. Nothing was changed." : "This guest session has ended, and its profile with it."
	const actions = [{ label: "Sign in or start anew", act: () => router.go("#/welcome") }]
	notices.show(end + kept, { id: "ended", tone: "error", actions })
}
