import type { ResourceDefinition } from './contract.ts';
import type { JsonObject } from './json.ts';

export function trackUpdate(
  _resource: ResourceDefinition,
  _current: JsonObject | undefined,
  _next: JsonObject,
  _manager: string,
  _apiVersion: string,
  _subresource: string | undefined,
): void {}
