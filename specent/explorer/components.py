"""Parts of the page that are no widgets of Panel: classes to click into groups, and the colours of the whole page."""

from __future__ import annotations

from typing import ClassVar

import panel as pn
import param

# labels come from a file: they enter the page as text only
_GROUPS = """
export function render({ model }) {
  const box = document.createElement('fieldset')
  const legend = document.createElement('legend')
  legend.textContent = 'Classes: click to put one into group A, B or none'
  const filter = document.createElement('input')
  filter.type = 'search'
  filter.placeholder = 'find a class'
  filter.setAttribute('aria-label', 'Find a class')
  const clear = document.createElement('button')
  clear.type = 'button'
  clear.textContent = 'Clear groups'
  clear.className = 'clear'
  const list = document.createElement('div')
  list.className = 'classes'
  const next = { '': 'A', A: 'B', B: '' }
  const buttons = new Map()
  const show = () => {
    for (const [label, button] of buttons) {
      const group = model.groups[label] ?? ''
      button.dataset.group = group
      button.firstChild.textContent = group || '\\u2013'
      button.setAttribute('aria-label', `${label}: ${group ? 'group ' + group : 'in no group'}`)
    }
  }
  const fill = () => {
    buttons.clear()
    list.replaceChildren(...model.labels.map((label) => {
      const button = document.createElement('button')
      const mark = document.createElement('b')
      const text = document.createElement('span')
      button.type = 'button'
      text.textContent = label
      button.append(mark, text)
      button.addEventListener('click', () => {
        model.groups = { ...model.groups, [label]: next[model.groups[label] ?? ''] }
        show()
      })
      buttons.set(label, button)
      return button
    }))
    filter.hidden = model.labels.length < 20
    show()
  }
  filter.addEventListener('input', () => {
    const sought = filter.value.toLowerCase()
    for (const [label, button] of buttons) { button.hidden = !label.toLowerCase().includes(sought) }
  })
  clear.addEventListener('click', () => { model.groups = {}; show() })
  model.on('groups', show)
  model.on('labels', fill)
  fill()
  box.append(legend, filter, list, clear)
  return box
}
"""

_GROUPS_STYLE = """
fieldset { border: 1px solid var(--lines); border-radius: 6px; margin: 0; padding: 6px 8px; font: inherit;
  color: var(--ink); }
legend { font-size: 0.9em; padding: 0 4px; }
.classes { display: flex; flex-wrap: wrap; gap: 4px; max-height: 15em; overflow: auto; margin: 4px 0; padding: 3px; }
button { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--lines);
  border-radius: 4px; padding: 3px 8px; cursor: pointer; max-width: 100%; overflow-wrap: anywhere; text-align: left;
  min-height: 28px; }
button b { display: inline-block; min-width: 1em; text-align: center; margin-right: 5px; }
button[data-group="A"] { border-color: #3f6fd8; box-shadow: inset 4px 0 #3f6fd8; }
button[data-group="B"] { border-color: #c9680a; box-shadow: inset 4px 0 #c9680a; }
button:focus-visible, input:focus-visible { outline: 3px solid var(--focus); outline-offset: 1px; }
input { font: inherit; color: var(--ink); background: var(--paper); border: 1px solid var(--lines); padding: 4px; }
[hidden] { display: none; }
"""

_PAGE = """
export function render({ model }) {
  const root = document.documentElement
  const preferred = window.matchMedia('(prefers-color-scheme: dark)')
  const show = () => {
    const dark = model.theme === 'dark' || (model.theme === '' && preferred.matches)
    root.dataset.theme = dark ? 'dark' : 'light'
    if (model.dark !== dark) { model.dark = dark }
  }
  preferred.addEventListener('change', show)
  model.on('theme', show)
  show()
  const hidden = document.createElement('div')
  hidden.hidden = true
  return hidden
}
"""


class Groups(pn.custom.JSComponent):
    """Buttons that put class labels into group A, group B or none."""

    labels = param.List(default=[], item_type=str)
    groups = param.Dict(default={})

    _esm = _GROUPS
    _stylesheets: ClassVar[list[str]] = [_GROUPS_STYLE]


class PageColours(pn.custom.JSComponent):
    """Puts the page into light or dark colours, and says which the reader sees."""

    theme = param.String(default="")
    dark = param.Boolean(default=False)

    _esm = _PAGE
