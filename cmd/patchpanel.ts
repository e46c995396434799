#!/usr/bin/env node
/** The executable: answers --version at once, and loads the rest only for a verb. */
import { readFileSync, writeSync } from 'node:fs';
import process from 'node:process';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`patchpanel needs Node 22.19 or newer; this is ${process.versions.node}.\n`);
  process.exit(1);
}

if (process.argv.length === 3 && (process.argv[2] === '--version' || process.argv[2] === '-V')) printVersion();
else await run();

/** Without the streams of the process, which take longer to set up than the rest. */
function printVersion(): void {
  try {
    writeSync(1, `${readVersion()}\n`);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error;
  }
}

async function run(): Promise<void> {
  takeCareOfProcess();
  // V8 lets garbage grow to several times of what is in use, and the young generation to 128 MB. A run is short and shares its
  // node with others: half the memory is worth some of its time (docs/performance.md has the figures).
  const { setFlagsFromString } = await import('node:v8');
  setFlagsFromString('--heap-growing-percent=30');
  const { main } = await import('./program.ts');
  setFlagsFromString('--semi-space-growth-factor=1');
  process.exitCode = await main(process.argv.slice(2), readVersion());
}

function takeCareOfProcess(): void {
  // The reader of a pipe may leave early (`| head`): a run goes on to its end all the same.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
  // Process 1 of a container outlives every signal that it does not handle. A verb that has something to finish takes over.
  if (process.pid === 1) {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      process.on(signal, () => {
        if (process.listenerCount(signal) === 1) process.exit(code);
      });
    }
  }
}

/** From package.json, which lies one folder above the sources and two above the built JavaScript. */
function readVersion(): string {
  for (const path of ['../package.json', '../../package.json']) {
    try {
      const parsed: unknown = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
      if (typeof parsed === 'object' && parsed !== null && 'name' in parsed && 'version' in parsed) {
        if (parsed.name === 'patchpanel') return String(parsed.version);
      }
    } catch {
      // Not at this depth.
    }
  }
  return 'unknown';
}
