/** What each plugin of a network configuration is given on its standard input, as libcni and Multus put it together. Pure. */

import { goQuote } from '../../reconcile/systems/go-json-syntax.ts';
import { type Fields, fields, items, text } from '../../reconcile/systems/json-shape.ts';

/** What a NIC asks for beside its network. */
export interface RuntimeRequest {
  readonly mac?: string;
  readonly ips?: readonly string[];
  readonly 'cni-args'?: unknown;
}

/**
 * The configurations of a chain, in order, without `prevResult`. What a plugin does not declare as a capability is left out,
 * silently. host-local keeps its leases where the node wants them.
 * @param name for a configuration that has none
 * @throws Error with the words of Multus for what it can't read
 */
export function pluginConfigs(config: string, name: string, request: RuntimeRequest): readonly Fields[] {
  const top = decode(config);
  const single = text(top.type) !== undefined;
  if (!single && !Array.isArray(top.plugins)) {
    throw new Error("LoadDelegateNetConfList: delegate must have the 'type' or 'plugin' field");
  }
  const { plugins = [], ...shared } = top;
  const own = single ? [top] : items(plugins).map(fields);
  return own.map((plugin) => {
    if (text(plugin.type) === undefined) {
      throw new Error("LoadDelegateNetConfList: a plugin delegate must have the 'type' field");
    }
    const cniVersion = text(shared.cniVersion);
    return {
      ...withoutDataDir(plugin),
      name: text(shared.name) ?? name,
      ...(cniVersion !== undefined && { cniVersion }),
      ...runtimeConfig(plugin, request),
      ...args(plugin, request),
    };
  });
}

function decode(config: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(config);
  } catch (error) {
    throw new Error(`failed to unmarshal Spec.Config: ${error instanceof Error ? error.message : String(error)}`);
  }
  return fields(value);
}

function withoutDataDir(plugin: Fields): Fields {
  const ipam = fields(plugin.ipam);
  if (ipam.dataDir === undefined) return plugin;
  const { dataDir: _, ...kept } = ipam;
  return { ...plugin, ipam: kept };
}

function runtimeConfig({ capabilities }: Fields, { mac, ips }: RuntimeRequest): Fields {
  const declared = fields(capabilities);
  const given = {
    ...(declared.mac === true && mac !== undefined && { mac }),
    ...(declared.ips === true && ips !== undefined && { ips }),
  };
  return Object.keys(given).length === 0 ? {} : { runtimeConfig: given };
}

function args(plugin: Fields, request: RuntimeRequest): Fields {
  const asked = fields(request['cni-args']);
  if (Object.keys(asked).length === 0) return {};
  const own = fields(plugin.args);
  return { args: { ...own, cni: { ...fields(own.cni), ...asked } } };
}

/** What libcni makes of a plugin that failed: the message of the error it printed, or that it printed none. */
export function pluginFailure(stdout: string, stderr: string, exitCode: number): string {
  try {
    const { msg, details } = fields(JSON.parse(stdout));
    const parts = [text(msg), text(details)].filter((part) => part !== undefined);
    if (parts.length > 0) return parts.join('; ');
  } catch {
    // Not the JSON that the specification asks for.
  }
  const status = `exit status ${exitCode}`;
  if (stdout === '' && stderr === '') return `netplugin failed with no error message: ${status}`;
  return `netplugin failed: ${goQuote(stdout === '' ? stderr : stdout)}: ${status}`;
}
