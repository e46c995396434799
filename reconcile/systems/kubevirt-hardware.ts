/** The hardware that a VM template or VMI asks for, as far as PCIe ports depend on it. */
import { fields, items, numeric, present, text } from './json-shape.ts';
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
  const hooked = hookPorts(text(marks[annotations.hookSidecars]));
  return {
    virtioDisks: items(devices.disks).filter(isVirtioDisk).length,
    hostDevices: items(devices.hostDevices).length,
    gpus: items(devices.gpus).length,
    virtioInputs: items(devices.inputs).filter((input) => fields(input).bus === 'virtio').length,
    watchdog: present(devices.watchdog),
    rng: present(devices.rng),
    balloon: devices.autoattachMemBalloon !== false,
    disableHotplug: devices.disableHotplug === true,
    rootComplexAnnotation: marks[annotations.rootComplex] === 'true',
    ...(memory === undefined ? {} : { memoryBytes: memory }),
    ...(machine === undefined ? {} : { machineType: machine }),
    ...(architecture === undefined ? {} : { architecture }),
    ...(topologyVersion === undefined ? {} : { topologyVersion }),
    ...(slotCount === undefined ? {} : { slotCount }),
    ...(declaredPorts === undefined ? {} : { declaredPorts }),
    ...(hooked === undefined ? {} : { hookPorts: hooked }),
  };
}

function isVirtioDisk(disk: unknown): boolean {
  const { disk: plain, lun, cdrom } = fields(disk);
  return [plain, lun, cdrom].some((kind) => fields(kind).bus === 'virtio');
}
