// The templates, and what a person changes in them after the import: the addresses of the services.
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const deploy = fileURLToPath(new URL('../../../deploy/n8n/', import.meta.url));
const templates = `${deploy}workflows/`;
const own = fileURLToPath(new URL('../workflows/', import.meta.url));

const read = (folder, name) => JSON.parse(readFileSync(`${folder}${name}`, 'utf8'));
const named = (folder) => readdirSync(folder).filter((name) => name.endsWith('.json')).sort();

/** Every template, by its file's name without the ending. */
export function allTemplates() {
  return Object.fromEntries(named(templates).map((name) => [name.slice(0, -'.json'.length), read(templates, name)]));
}

/** Workflows that only the tests have. */
export function ownWorkflows() {
  return named(own).map((name) => read(own, name));
}

/** The credentials of the templates with these values, by their ids. */
export function credentials(values) {
  return read(deploy, 'credentials.example.json').map((one) => ({ ...one, data: { ...one.data, ...values[one.id] } }));
}

/** A template with these values in its *Settings*: `{sessionServiceUrl: …}`. */
export function withSettings(template, values) {
  const changed = structuredClone(template);
  for (const node of changed.nodes.filter(({ name }) => name === 'Settings')) {
    for (const field of node.parameters.assignments.assignments.filter(({ name }) => name in values)) field.value = values[field.name];
  }
  return changed;
}

/** A second copy of a template beside the first: another id, other paths, and this code in one of its nodes. */
export function variant(template, suffix, node, jsCode) {
  const changed = structuredClone(template);
  changed.id = `${suffix}${template.id.slice(suffix.length)}`;
  changed.name = `${template.name}, ${suffix}`;
  for (const one of changed.nodes) {
    if (one.webhookId) one.webhookId = `${one.webhookId}-${suffix}`;
    if (one.parameters.path) one.parameters.path += `-${suffix}`;
    if (one.name === node) one.parameters.jsCode = jsCode;
  }
  return changed;
}
