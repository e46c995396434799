/** Reviews of one's own rights and identity: what `kubectl auth can-i` and `auth whoami` ask. */
import type { Buffer } from 'node:buffer';
import { type Answer, jsonAnswer } from './answer.ts';
import type { Authorize, User } from './authentication.ts';
import { mayReadPath } from './authentication.ts';
import { decodeObject, mediaType } from './decode.ts';
import { child, type JsonObject, text } from './json.ts';
import { badRequest, fieldInvalid, invalid, unknownResource } from './status.ts';
import { timestamp } from './store.ts';

/** Answers a POST of a review. Throws 404 for kinds that are not served. */
export function handleReview(
  plural: string,
  body: Buffer,
  contentType: string | undefined,
  user: User,
  authorize: Authorize,
): Answer {
  switch (plural) {
    case 'selfsubjectaccessreviews':
      return accessReview(decode(body, contentType, 'SelfSubjectAccessReview'), user, authorize);
    case 'selfsubjectrulesreviews':
      return rulesReview(decode(body, contentType, 'SelfSubjectRulesReview'), user);
    case 'selfsubjectreviews':
      return jsonAnswer(
        {
          kind: 'SelfSubjectReview',
          apiVersion: 'authentication.k8s.io/v1',
          metadata: { creationTimestamp: timestamp() },
          status: { userInfo: { username: user.user, groups: user.groups } },
        },
        201,
      );
    default:
      throw unknownResource();
  }
}

function decode(body: Buffer, contentType: string | undefined, kind: string): JsonObject {
  return decodeObject(body, mediaType(contentType), kind, false).object;
}

function accessReview(review: JsonObject, user: User, authorize: Authorize): Answer {
  const spec = child(review, 'spec') ?? {};
  const resource = child(spec, 'resourceAttributes');
  const path = child(spec, 'nonResourceAttributes');
  if ((resource === undefined) === (path === undefined)) {
    throw invalid({ group: 'authorization.k8s.io', kind: '' }, '', [
      fieldInvalid(
        'spec.resourceAttributes',
        null,
        'exactly one of nonResourceAttributes or resourceAttributes must be specified',
      ),
    ]);
  }
  const allowed =
    resource === undefined
      ? mayReadPath(user, text(path?.path) ?? '')
      : authorize({ ...user, verb: text(resource.verb) ?? '', ...attributes(resource) });
  return jsonAnswer(
    {
      kind: 'SelfSubjectAccessReview',
      apiVersion: 'authorization.k8s.io/v1',
      metadata: {},
      spec,
      status: { allowed },
    },
    201,
  );
}

function attributes(resource: JsonObject): Omit<Parameters<Authorize>[0], 'user' | 'groups' | 'verb'> {
  const namespace = text(resource.namespace) ?? '';
  const subresource = text(resource.subresource) ?? '';
  const name = text(resource.name) ?? '';
  return {
    group: text(resource.group) ?? '',
    resource: text(resource.resource) ?? '',
    ...(namespace === '' ? {} : { namespace }),
    ...(subresource === '' ? {} : { subresource }),
    ...(name === '' ? {} : { name }),
  };
}

function rulesReview(review: JsonObject, user: User): Answer {
  if ((text(child(review, 'spec')?.namespace) ?? '') === '') throw badRequest('no namespace on request');
  const all = user.groups.includes('system:masters');
  return jsonAnswer(
    {
      kind: 'SelfSubjectRulesReview',
      apiVersion: 'authorization.k8s.io/v1',
      metadata: {},
      spec: {},
      status: {
        resourceRules: all ? [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }] : [],
        nonResourceRules: all ? [{ verbs: ['*'], nonResourceURLs: ['*'] }] : [],
        // Rights are decided by a function, which can't list them.
        incomplete: !all,
      },
    },
    201,
  );
}
