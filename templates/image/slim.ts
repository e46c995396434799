/**
 * Run while the container image is built: drops from node_modules what only a compiler or a reader needs. Of the
 * Jsonnet addon's 66 MB build tree the addon itself and libjsonnet.so stay, at their paths.
 *
 *     node templates/image/slim.ts node_modules
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Files that are read neither by Node nor by the dynamic linker. */
const ballast = /\.(?:map|md|d\.ts|d\.mts|d\.cts|ts|h|hpp|cc|cpp|c|o|a|cmake|txt|markdown)$/i;

function removeBallast(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) removeBallast(path);
    else if (entry.isFile() && ballast.test(entry.name) && !/^licen[cs]e/i.test(entry.name)) rmSync(path);
  }
}

function slimAddon(addon: string): void {
  if (!existsSync(addon)) return;
  for (const name of ['src', 'spec', 'third_party', 'examples', 'types'])
    rmSync(join(addon, name), { recursive: true, force: true });
  const build = join(addon, 'build');
  keepOnly(build, (name) => name === 'Release' || name === 'third_party');
  keepOnly(join(build, 'Release'), (name) => name.endsWith('.node'));
  keepOnly(join(build, 'third_party'), (name) => name === 'jsonnet');
  keepOnly(join(build, 'third_party', 'jsonnet'), (name) => name.startsWith('libjsonnet.so'));
}

function keepOnly(folder: string, keep: (name: string) => boolean): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    if (!keep(name)) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

const modules = process.argv[2];
if (modules === undefined || !existsSync(modules)) {
  process.stderr.write('usage: node slim.ts NODE_MODULES\n');
  process.exit(2);
}
slimAddon(join(modules, '@hanazuki', 'node-jsonnet'));
removeBallast(modules);
