import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import type { ApiServer, ExecHandler } from '../../sandbox/api/contract.ts';
import { startApiServer } from '../../sandbox/api/server.ts';

type Frame = { readonly channel: number; readonly data: string } | { readonly close: number };

interface Conversation {
  readonly id: string;
  readonly path: string;
  readonly offered: string | null;
  readonly status: number;
  readonly protocol: string | null;
  readonly sent: readonly { readonly channel: number; readonly data: string }[];
  readonly received: readonly Frame[];
}

const fixture = new URL('../../sandbox/api/fixtures/exec-websocket.json', import.meta.url);
const conversations = JSON.parse(readFileSync(fixture, 'utf8')) as readonly Conversation[];

/** The commands of the recorded kubelet. */
const commands: ExecHandler = async ({ command: [name = '', ...args], stdin }) => {
  switch (name) {
    case 'echo':
      return { exitCode: 0, stdout: `${args.join(' ')}\n`, stderr: '' };
    case 'both':
      return { exitCode: 3, stdout: 'to stdout\n', stderr: 'to stderr\n' };
    case 'cat': {
      const chunks: Uint8Array[] = [];
      for await (const chunk of stdin) chunks.push(chunk);
      return { exitCode: 0, stdout: Buffer.concat(chunks).toString('utf8'), stderr: '' };
    }
    case '':
      return { exitCode: 0, stdout: '', stderr: '' };
    default:
      throw new Error(`exec: "${name}": executable file not found in $PATH`);
  }
};

let api: ApiServer;
before(async () => {
  api = await startApiServer({
    port: 0,
    resources: [],
    admission: [],
    subresources: [],
    exec: commands,
    tokens: new Map([['admin', { user: 'admin', groups: ['system:masters'] }]]),
  });
  api.store.seed('', 'nodes', { metadata: { name: 'node01' } });
  api.store.seed('', 'pods', {
    metadata: { name: 'e-fk1', namespace: 'apiconf' },
    spec: { nodeName: 'node01', containers: [{ name: 'a' }] },
  });
});
after(() => api.close());

async function converse({
  path,
  offered,
  sent,
}: Conversation): Promise<Pick<Conversation, 'status' | 'protocol' | 'received'>> {
  const offers = (offered ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
  const socket = new WebSocket(api.url.replace('http', 'ws') + path, offers, {
    headers: { authorization: 'Bearer admin' },
  });
  const received: Frame[] = [];
  socket.on('message', (data: Buffer) => {
    received.push({ channel: data[0] ?? -1, data: data.subarray(1).toString('utf8') });
  });
  socket.on('open', () => {
    for (const { channel, data } of sent)
      socket.send(Buffer.concat([Buffer.from([channel]), Buffer.from(data, 'latin1')]));
  });
  return new Promise((resolve) => {
    socket.on('unexpected-response', (request, response) => {
      request.destroy();
      resolve({ status: response.statusCode ?? 0, protocol: null, received });
    });
    socket.on('error', () => {});
    socket.on('close', (code) => {
      resolve({ status: 101, protocol: socket.protocol || null, received: [...received, { close: code }] });
    });
  });
}

/** Data that was shortened in the record is only counted as there. */
function comparable(frames: readonly Frame[], recorded: readonly Frame[]): readonly Frame[] {
  return frames.map((frame, index) => {
    const other = recorded[index];
    const shortened = other !== undefined && 'data' in other && /^<\d+ bytes>$/.test(other.data);
    return shortened && 'data' in frame && frame.data !== '' ? { ...frame, data: other.data } : frame;
  });
}

for (const conversation of conversations) {
  test(`exec as recorded: ${conversation.id}`, async () => {
    const { status, protocol, received } = await converse(conversation);
    assert.equal(status, conversation.status);
    assert.equal(protocol, conversation.protocol);
    assert.deepEqual(comparable(received, conversation.received), conversation.received);
  });
}
