import { html } from '../html.js';
import { CopyButton } from './copy.js';

/** A block of code with a copy button. */
export function CodeBlock({ label, code }) {
  return html`<figure class="code">
    <figcaption><span>${label}</span><${CopyButton} text=${code} /></figcaption>
    <pre tabindex="0" aria-label=${label}><code>${code}</code></pre>
  </figure>`;
}

/** The `curl` that does the same as the button next to it. */
export function CurlBlock({ label, method = 'GET', path, body }) {
  return html`<${CodeBlock} label=${label} code=${curl(method, path, body)} />`;
}

/** A `curl` command for a POSIX shell; the token comes from the variable TOKEN, so that it never stands in a history. */
export function curl(method, path, body) {
  const lines = [`curl -X ${method} ${shellQuote(location.origin + path)}`, '  -H "Authorization: Bearer $TOKEN"'];
  if (body !== undefined) {
    lines.push("  -H 'Content-Type: application/json'", `  -d ${shellQuote(JSON.stringify(body))}`);
  }
  return lines.join(' \\\n');
}

function shellQuote(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
