/**
 * `spec.config` of a NetworkAttachmentDefinition: a CNI network configuration in a string, which the API server takes
 * unread. What Multus or libcni would refuse is a problem; it hits when a pod starts or a NIC is plugged, so it is
 * looked for beforehand.
 */
import { decodeGo } from './go-json.ts';

/** Versions of the CNI specification, oldest first. */
const cniVersions = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];

/** The NAD that holds the configuration. */
export interface NadName {
  readonly namespace: string;
  readonly name: string;
}

export type CniConfigCheck =
  | {
      readonly ok: true;
      /** Plugin that makes the interface; later ones of a list are chained to it. */
      readonly type: string;
      /** Types of all plugins, in order. */
      readonly plugins: readonly string[];
      /** Capabilities that any plugin declares, such as `mac` and `ips`; what none declares is dropped silently. */
      readonly capabilities: readonly string[];
      readonly cniVersion?: string;
      /** Type of the first plugin's IPAM. */
      readonly ipam?: string;
      readonly warnings: readonly string[];
    }
  | {
      readonly ok: false;
      /** Half a sentence after "the config of NAD x": `is not JSON: ...`. */
      readonly problem: string;
    };

type Config = { readonly [key: string]: unknown };

class Problem extends Error {}

/** Checks a configuration by the rules of Multus and libcni. Never throws. */
export function checkCniConfig(config: string | undefined, nad?: NadName): CniConfigCheck {
  try {
    return check(config, nad);
  } catch (error) {
    if (error instanceof Problem) return { ok: false, problem: error.message };
    throw error;
  }
}

function check(config: string | undefined, nad: NadName | undefined): CniConfigCheck {
  if (config === undefined || config.trim() === '') {
    throw new Problem(
      'is empty: Multus then looks for a file on the node, and nothing can be plugged into a running pod',
    );
  }
  const decoded = decodeGo(config, { kind: 'map' });
  if (!decoded.ok) throw new Problem(describeDecodeError(decoded.error));
  if (!isConfig(decoded.value)) throw new Problem('is null, where a JSON object is wanted');
  const top = decoded.value;
  const single = stringOf(top, 'type');
  const plugins = single === undefined ? pluginList(top) : [top];
  const types = plugins.map(pluginType);
  const [type = ''] = types;
  checkName(top);
  for (const key of ['disableCheck', 'disableGC', 'loadOnlyInlinedPlugins']) checkFlag(top, key);
  const cniVersion = versionOf(top);
  const ipam = isConfig(plugins[0]?.ipam) ? stringOf(plugins[0].ipam, 'type') : undefined;
  return {
    ok: true,
    type,
    plugins: types,
    capabilities: [...new Set(plugins.flatMap(capabilitiesOf))].sort(),
    ...(cniVersion === undefined ? {} : { cniVersion }),
    ...(ipam === undefined ? {} : { ipam }),
    warnings: [
      ...versionWarnings(cniVersion, single !== undefined),
      ...[...new Set([top, ...plugins])].flatMap(reservedKeys),
      ...(type === 'ovn-k8s-cni-overlay' ? ovnWarnings(plugins[0] ?? top, nad) : []),
    ],
  };
}

function describeDecodeError(error: string): string {
  const found = /^json: cannot unmarshal (\S+)/.exec(error)?.[1];
  return found === undefined ? `is not JSON: ${error}` : `is a JSON ${found}, where an object is wanted`;
}

function isConfig(value: unknown): value is Config {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Undefined for a missing or empty string, which count alike. */
function stringOf(config: Config, key: string): string | undefined {
  const value = config[key];
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw new Problem(`has a "${key}" that is not a string`);
  return value;
}

function pluginList(top: Config): readonly Config[] {
  const { plugins } = top;
  if (plugins === undefined || plugins === null) {
    throw new Problem('has neither "type" nor "plugins": it names no CNI plugin');
  }
  if (!Array.isArray(plugins)) throw new Problem('has "plugins" that are not a list');
  if (plugins.length === 0) throw new Problem('has an empty list of "plugins", on which Multus crashes');
  return plugins.map((plugin: unknown, index) => {
    if (!isConfig(plugin)) throw new Problem(`has plugin ${index + 1} that is not an object`);
    return plugin;
  });
}

function pluginType(plugin: Config, index: number): string {
  const type = stringOf(plugin, 'type');
  if (type === undefined) throw new Problem(`has plugin ${index + 1} without "type"`);
  if (/[/\\]/.test(type)) throw new Problem(`has the plugin type "${type}"; a type is a file name without path`);
  return type;
}

/** A missing name is filled in with that of the NAD. */
function checkName(top: Config): void {
  const name = stringOf(top, 'name');
  if (name !== undefined && !/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name)) {
    throw new Problem(
      `has the name "${name}"; letters, digits, "_", "." and "-" are allowed, the first a letter or digit`,
    );
  }
}

function checkFlag(top: Config, key: string): void {
  const value = top[key];
  if (value === undefined || typeof value === 'boolean') return;
  if (typeof value === 'string' && /^(?:true|false)$/i.test(value)) return;
  throw new Problem(`has "${key}" that is neither true nor false`);
}

/** The highest version of `cniVersions` that is known, else `cniVersion`. */
function versionOf(top: Config): string | undefined {
  const single = stringOf(top, 'cniVersion');
  const offered = top.cniVersions;
  if (offered !== undefined && offered !== null) {
    if (!Array.isArray(offered) || !offered.every((version) => typeof version === 'string')) {
      throw new Problem('has "cniVersions" that are not a list of strings');
    }
    const best = cniVersions.findLast((version) => version === single || offered.includes(version));
    if (best !== undefined) return best;
    if (offered.length > 0) throw new Problem(`offers no known CNI version; known are ${cniVersions.join(', ')}`);
  }
  if (single !== undefined && !cniVersions.includes(single)) {
    throw new Problem(`has cniVersion "${single}"; known are ${cniVersions.join(', ')}`);
  }
  return single;
}

function versionWarnings(version: string | undefined, single: boolean): string[] {
  if (version === undefined) return ['has no cniVersion, which means 0.1.0: results then know no interfaces'];
  const rank = cniVersions.indexOf(version);
  if (rank < cniVersions.indexOf('0.3.0')) return [`has cniVersion ${version}, whose results know no interfaces`];
  if (single && rank >= cniVersions.indexOf('1.0.0')) {
    return [
      `is a single plugin with cniVersion ${version}; since 1.0.0 the specification knows only lists of "plugins"`,
    ];
  }
  return [];
}

function capabilitiesOf(plugin: Config): string[] {
  const { capabilities } = plugin;
  if (capabilities === undefined || capabilities === null) return [];
  if (!isConfig(capabilities)) throw new Problem('has "capabilities" that are not an object');
  return Object.entries(capabilities).flatMap(([name, value]) => {
    if (typeof value !== 'boolean') throw new Problem(`has capability "${name}" that is neither true nor false`);
    return value ? [name] : [];
  });
}

/** Keys that the runtime fills in itself. */
function reservedKeys(config: Config): string[] {
  return Object.keys(config)
    .filter((key) => ['runtimeConfig', 'args', 'prevResult'].includes(key) || key.startsWith('cni.dev/'))
    .map((key) => `has the key "${key}", which is reserved for the runtime`);
}

function ovnWarnings(plugin: Config, nad: NadName | undefined): string[] {
  const warnings: string[] = [];
  const declared = plugin.netAttachDefName;
  if (nad !== undefined && declared !== `${nad.namespace}/${nad.name}`) {
    warnings.push(
      `has netAttachDefName ${JSON.stringify(declared) ?? 'missing'}; OVN-Kubernetes wants "${nad.namespace}/${nad.name}"`,
    );
  }
  if (plugin.role === 'primary')
    warnings.push('has role primary; such a network is not to be attached as a secondary one');
  return warnings;
}
