/** The whole profile as one file, written to disk as it comes. */

import { api } from "../api.js"
import { h, replace } from "../dom.js"
import { bytes } from "../words.js"

const FOLDER = "backups"

export function exportPart({ announce }) {
  const secret = passphraseField("Passphrase", { minlength: 8, maxlength: 1024, required: true })
  const place = h("div")
  const told = h("div")
  const box = h("input", { type: "checkbox", onchange: () => replace(place, box.checked && secret) })
  const once = (event) => event.detail > 1 && event.preventDefault() // the second click of two would cancel
  const button = h("button", { class: "primary", onclick: once }, "Export backup")
  let leaving = null

  async function save(event) {
    event.preventDefault()
    if (leaving) return leaving.abort()
    leaving = new AbortController()
    button.textContent = "Cancel"
    const text = h("p", {}, "Gathering…")
    replace(told, text, h("progress", { "aria-label": "Export" }))
    try {
      const link = await written(box.checked && secret.control.value, leaving.signal, (size) => (text.textContent = `${bytes(size)} written`))
      secret.control.value = ""
      replace(told, link)
      link.click()
    } catch (problem) {
      const why = problem.status ? problem.message : "It broke off: what came is not a whole backup, and was thrown away."
      replace(told, leaving.signal.aborted ? "Cancelled." : why)
    }
    announce(told.textContent, { always: true })
    leaving = null
    button.textContent = "Export backup"
  }

  return h("form", { class: "panel", onsubmit: save },
    h("p", {}, "Settings, their history and all runs with their images, as one file."),
    h("label", { class: "check" }, box, "Include provider keys"),
    place, button, told,
  )
}

export function passphraseField(label, properties) {
  return h("label", { class: "field" }, label, h("input", { type: "password", name: "passphrase", autocomplete: "off", ...properties }))
}

/** A link that saves the file. */
async function written(passphrase, signal, tell) {
  const sealing = { method: "POST", body: JSON.stringify({ passphrase }), headers: { "Content-Type": "application/json" } }
  const { body, headers } = await api.fetch("/api/settings/backup", { signal, ...(passphrase && sealing) })
  let size = 0
  const transform = (piece, out) => {
    tell((size += piece.length))
    out.enqueue(piece)
  }
  const file = await kept(body.pipeThrough(new TransformStream({ transform })))
  const [download] = /[\w-]+\.json/.exec(headers.get("Content-Disposition"))
  return h("a", { href: URL.createObjectURL(file), download }, `Save ${download}, whole, ${bytes(size)}`)
}

/** In the origin private file system, in place of the last one; in memory where there is none. */
async function kept(stream) {
  const handle = await newFile().catch(() => null)
  if (!handle?.createWritable) return new Response(stream).blob()
  await stream.pipeTo(await handle.createWritable())
  return handle.getFile()
}

async function newFile() {
  const root = await navigator.storage.getDirectory()
  await root.removeEntry(FOLDER, { recursive: true }).catch(() => {}) // there was none
  return (await root.getDirectoryHandle(FOLDER, { create: true })).getFileHandle(`${Date.now()}`, { create: true })
}
