/** One page of panels: complete in itself. It asks for nothing over the network, and its policy says so to the browser. */
import { createHash } from 'node:crypto';
import { escapeHtml } from './draw.ts';
import type { Picture, RunRow } from './model.ts';
import { pageScript } from './script.ts';
import { pageStyle } from './style.ts';

/** JSON that can not end the element around it, and that is one line for every reader. */
function embedded(value: Picture): string {
  return JSON.stringify(value).replace(/[<\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}

function hash(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

/** The page as HTML; ends with a newline. The same picture gives the same bytes. */
export function picturePage(picture: Picture): string {
  const script = pageScript();
  const policy = [
    "default-src 'none'",
    `script-src ${hash(script)}`,
    `style-src ${hash(pageStyle)}`,
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const { kind, source, revision, summary, notices, facts, panels } = picture;
  const title = escapeHtml(`${kind} of ${source} ${revision}`);
  const noticeList = notices.map((notice) => `<li>${escapeHtml(notice)}</li>`).join('');
  const factList = facts.map(([name, value]) => `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd></div>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeHtml(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>${title}</title>
<style>${pageStyle}</style>
</head>
<body>
<a class="skip" href="#panels">Skip to the panels</a>
<header>
<div class="top"><h1>patchpanel <span class="kind">${kind}</span></h1><span class="revision">${escapeHtml(source)} <code>${escapeHtml(revision)}</code></span></div>
<p class="summary">${escapeHtml(summary)}</p>
<dl class="meta">${factList.join('')}</dl>
${noticeList === '' ? '' : `<ul class="notices" aria-label="notices">${noticeList}</ul>`}
${runTable(picture.runs ?? [])}
<details class="index"><summary>Networks <b id="networks-count"></b></summary><ul id="networks"></ul></details>
</header>
<div class="bar" role="search"><div><div id="filters" role="group" aria-label="Show only"></div><input id="search" type="search" autocomplete="off" spellcheck="false" placeholder="Search VM, network, MAC, state" aria-label="Search VM, namespace, network, MAC or state" aria-keyshortcuts="/"><button id="clear" type="button" hidden>Clear</button><span id="shown" role="status"></span></div></div>
<main>
<noscript><p class="notices">${panels.length} panels are drawn by a script of this page, which this browser does not run.</p></noscript>
<ul id="panels" role="list" aria-label="Panels" tabindex="-1"></ul>
<p id="nothing" hidden>Nothing here fits the search and the filters.</p>
</main>
<footer><kbd>/</kbd> search, <kbd>Esc</kbd> clear, <kbd>↑</kbd> <kbd>↓</kbd> from panel to panel, <kbd>←</kbd> <kbd>→</kbd> from port to port. Made ${escapeHtml(picture.made)}.</footer>
<script type="application/json" id="data">${embedded(picture)}</script>
<script>${script}</script>
</body>
</html>
`;
}

function runTable(runs: readonly RunRow[]): string {
  if (runs.length === 0) return '';
  const rows = runs.map(({ at, outcome, commit, what, by }) => {
    const cells = [at, outcome, commit, what, by].map((text) => `<td>${escapeHtml(text)}</td>`);
    return `<tr>${cells.join('')}</tr>`;
  });
  const heads = ['when', 'outcome', 'commit', 'what', 'by'].map((text) => `<th scope="col">${text}</th>`).join('');
  return `<details class="runs" open><summary>Last runs with news <b>${runs.length}</b></summary><table><thead><tr>${heads}</tr></thead><tbody>${rows.join('')}</tbody></table></details>`;
}
