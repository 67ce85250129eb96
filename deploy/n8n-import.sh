#!/bin/sh
# Runs in n8n's own image, once for each volume: imports the templates and their credentials, and publishes them.
set -eu

done=$HOME/.n8n/switchhook-templates
begun=$HOME/.n8n/switchhook-templates-begun
[ ! -e "$done" ] || exit 0
# An import that was interrupted is begun anew: n8n itself has not run yet, it waits for the end of this.
[ ! -e "$begun" ] || rm -rf "$HOME"/.n8n/* "$HOME"/.n8n/.[!.]*
touch "$begun"

work=$(mktemp -d)
# The first of each list; an entry of WEBHOOK_SECRETS may have a name in front.
node - /templates/credentials.example.json >"$work/credentials.json" <<'JS'
const first = (list) => (list ?? "").split(",")[0];
const values = {
	SwitchhookIn0001: { value: process.env.N8N_OUTBOUND_SECRET },
	SwitchhookOut001: { value: first(process.env.WEBHOOK_SECRETS).replace(/^[a-z0-9_-]{1,32}:/, "") },
	SwitchhookRetell: { hmacSecret: first(process.env.RETELL_API_KEYS) },
};
const credentials = JSON.parse(require("fs").readFileSync(process.argv[2], "utf8"));
for (const credential of credentials) {
	if (!(credential.id in values)) throw new Error(`no value for the credential ${credential.name}`);
	Object.assign(credential.data, values[credential.id]);
}
console.log(JSON.stringify(credentials));
JS

n8n import:credentials --input="$work/credentials.json"
n8n import:workflow --separate --input=/templates/workflows
node -p 'process.argv.slice(1).map((file) => require(file).id).join("\n")' /templates/workflows/*.json >"$work/ids"
while read -r id; do
	n8n publish:workflow --id="$id" </dev/null
done <"$work/ids"
rm -rf "$work"
mv "$begun" "$done"
