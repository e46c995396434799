/**
 * The floor: what any program must do that looks at the whole fleet in full. Paged lists of the objects, one after another
 * over one connection, JSON.parse of each page, and the bare parse of the YAML sources.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { Agent, get } from 'node:https';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';

interface Page {
  readonly metadata: { readonly continue?: string };
  readonly items: readonly unknown[];
}

const {
  server = '',
  ca = '',
  token = '',
  folder = '',
  namespace = '',
} = JSON.parse(process.argv[2] ?? '{}') as Readonly<Record<string, string>>;
const agent = new Agent({ ca, keepAlive: true, maxSockets: 1 });

function fetchText(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { agent, headers: { authorization: `Bearer ${token}`, accept: 'application/json' } };
    get(`${server}${path}`, options, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
      response.on('error', reject);
    }).on('error', reject);
  });
}

let documents = 0;
for (const name of readdirSync(folder)) {
  documents += parseAllDocuments(readFileSync(join(folder, name), 'utf8')).map((each) => each.toJS()).length;
}
let objects = 0;
for (const path of [
  `/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachines?`,
  `/apis/kubevirt.io/v1/namespaces/${namespace}/virtualmachineinstances?`,
  `/api/v1/namespaces/${namespace}/pods?labelSelector=kubevirt.io%3Dvirt-launcher&`,
]) {
  let next: string | undefined;
  do {
    const query = next === undefined ? '' : `&continue=${encodeURIComponent(next)}`;
    const page = JSON.parse(await fetchText(`${path}limit=500${query}`)) as Page;
    objects += page.items.length;
    next = page.metadata.continue || undefined;
  } while (next !== undefined);
}
agent.destroy();
process.stdout.write(`${JSON.stringify({ documents, objects })}\n`);
