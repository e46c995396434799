/** The hardware that a VM template or VMI asks for, as far as PCIe ports depend on it. */
import { type Fields, fields, items, numeric, present, text } from './json-shape.ts';
import { annotations, portCountField } from './kubevirt-names.ts';
import type { PortFacts } from './kubevirt-ports.ts';
import { hookPorts } from './kubevirt-sidecar.ts';
import { parseQuantity } from './quantity.ts';

/**
 * Reads what the port count depends on.
 * @param spec a VMI spec, or the spec of a VM template
 * @param metadataAnnotations those of the VMI, or of the template
 */
export function hardwareFacts(spec: unknown, metadataAnnotations: unknown): PortFacts {
  const marks = fields(metadataAnnotations);
  const domain = fields(fields(spec).domain);
  const devices = fields(domain.devices);
  const resources = fields(domain.resources);
  const memory =
    parseQuantity(fields(domain.memory).guest) ??
    parseQuantity(fields(resources.requests).memory) ??
    parseQuantity(fields(resources.limits).memory);
  const machine = text(fields(domain.machine).type);
  const architecture = text(fields(spec).architecture);
  const topologyVersion = text(marks[annotations.pciTopologyVersion]);
  const slotCount = text(marks[annotations.pciSlotCount]);
  const declaredPorts = numeric(devices[portCountField]);
  const disks = items(devices.disks).filter(isVirtioDisk);
  const hot = hotVolumes(spec);
  const hotDisks = disks.filter((disk) => hot.has(text(fields(disk).name))).length;
  const hooked = hookPorts(text(marks[annotations.hookSidecars]));
  return {
    virtioDisks: disks.length,
    hostDevices: items(devices.hostDevices).length,
    gpus: items(devices.gpus).length,
    virtioInputs: items(devices.inputs).filter((input) => fields(input).bus === 'virtio').length,
    watchdog: present(devices.watchdog),
    rng: present(devices.rng),
    balloon: devices.autoattachMemBalloon !== false,
    disableHotplug: devices.disableHotplug === true,
    rootComplexAnnotation: marks[annotations.rootComplex] === 'true',
    ...(needsUsb(devices) ? { usb: true } : {}),
    ...(hotDisks === 0 ? {} : { hotDisks }),
    ...(memory === undefined ? {} : { memoryBytes: memory }),
    ...(machine === undefined ? {} : { machineType: machine }),
    ...(architecture === undefined ? {} : { architecture }),
    ...(topologyVersion === undefined ? {} : { topologyVersion }),
    ...(slotCount === undefined ? {} : { slotCount }),
    ...(declaredPorts === undefined ? {} : { declaredPorts }),
    ...(hooked === undefined ? {} : { hookPorts: hooked }),
  };
}

/** Names of volumes that are plugged into the running VM, not put into its pod when it starts. */
function hotVolumes(spec: unknown): ReadonlySet<string | undefined> {
  const hot = items(fields(spec).volumes)
    .map(fields)
    .filter((volume) =>
      [volume.persistentVolumeClaim, volume.dataVolume].some((source) => fields(source).hotpluggable === true),
    );
  return new Set(hot.map(({ name }) => text(name)));
}

/** Inputs sit on USB unless they say otherwise. */
function needsUsb(devices: Fields): boolean {
  return (
    items(devices.inputs).some((input) => fields(input).bus !== 'virtio') ||
    items(devices.disks).some((disk) => isOnBus(disk, 'usb')) ||
    present(devices.clientPassthrough)
  );
}

function isVirtioDisk(disk: unknown): boolean {
  return isOnBus(disk, 'virtio');
}

function isOnBus(disk: unknown, bus: string): boolean {
  const { disk: plain, lun, cdrom } = fields(disk);
  return [plain, lun, cdrom].some((kind) => fields(kind).bus === bus);
}
