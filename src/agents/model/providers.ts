import { LRUCache } from 'lru-cache';
import { RuntimeError } from '../runtime.ts';
import { limitedFetch } from './limited-fetch.ts';
import { type AskModel, readByClient, readFromSocket } from './part-source.ts';
import { SetAsideFetch } from './set-aside-fetch.ts';

/** The providers of models. If the parameters name none, the first configured one is used. */
export const providerNames = ['openai-compatible', 'anthropic', 'google'] as const;

export type ProviderName = (typeof providerNames)[number];

/** The settings for models. A provider without its setting is off. */
export interface ModelSettings {
  /** The base URL of an OpenAI-compatible server, such as `http://127.0.0.1:11434/v1`. */
  url?: string | undefined;
  /** The API key for `url`. Many local servers need none. */
  apiKey?: string | undefined;
  /** The model to use if the parameters name none. */
  model?: string | undefined;
  anthropic?: { apiKey: string; url?: string } | undefined;
  google?: { apiKey: string; url?: string } | undefined;
}

/** A model, ready to be asked. */
export interface OpenedModel {
  ask: AskModel;
  /** Whether system messages may be anywhere in the prompt, not only at its beginning. */
  takesSystemMessages: boolean;
  /** Whether all models of the provider take pictures. */
  takesImages: boolean;
}

/** The model that the parameters ask for. */
interface WantedModel {
  provider?: ProviderName | undefined;
  model?: string | undefined;
}

/** Opens models and caches those used last, since creating a client costs more than a request. */
export class Models {
  private readonly settings: ModelSettings;
  private readonly opened = new LRUCache<string, Promise<OpenedModel>>({ max: 50 });

  constructor(settings: ModelSettings) {
    this.settings = settings;
  }

  /**
   * Opens a model. Loads only the client of its provider, and only on first use.
   * @throws {RuntimeError} naming the setting that is missing.
   */
  async open(wanted: WantedModel): Promise<OpenedModel> {
    const { provider, modelId } = choose(this.settings, wanted);
    const key = `${provider} ${modelId}`;
    const known = this.opened.get(key);
    if (known) return known;
    const opening = open(this.settings, provider, modelId);
    this.opened.set(key, opening);
    opening.catch(() => this.opened.delete(key));
    return opening;
  }
}

function choose(settings: ModelSettings, wanted: WantedModel): { provider: ProviderName; modelId: string } {
  const provider = wanted.provider ?? providerNames.find((name) => isConfigured(settings, name));
  if (!provider) {
    throw new RuntimeError(
      'No model is configured. Set PARLEY_MODEL_URL, ANTHROPIC_API_KEY or GOOGLE_GENERATIVE_AI_API_KEY.',
    );
  }
  const modelId = wanted.model ?? settings.model;
  if (isConfigured(settings, provider) && modelId === undefined) {
    throw new RuntimeError('No model is chosen. Set PARLEY_MODEL, or the runtime parameter `model`.');
  }
  return { provider, modelId: modelId ?? '' };
}

/** Secret values that must not appear in any message. */
export function secretsOf({ apiKey, anthropic, google }: ModelSettings): string[] {
  return [apiKey, anthropic?.apiKey, google?.apiKey].filter((key) => key !== undefined);
}

function isConfigured(settings: ModelSettings, name: ProviderName): boolean {
  return settings[name === 'openai-compatible' ? 'url' : name] !== undefined;
}

async function open(settings: ModelSettings, provider: ProviderName, modelId: string): Promise<OpenedModel> {
  switch (provider) {
    case 'openai-compatible': {
      const { url, apiKey } = settings;
      if (url === undefined) throw missing(provider, 'PARLEY_MODEL_URL');
      const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible');
      const answers = new SetAsideFetch();
      const create = createOpenAICompatible({
        name: 'openai-compatible',
        baseURL: url,
        ...(apiKey !== undefined && { apiKey }),
        includeUsage: true,
        fetch: answers.fetch,
      });
      const ask = readFromSocket(create.languageModel(modelId), answers);
      return { ask, takesSystemMessages: true, takesImages: false };
    }
    case 'anthropic': {
      if (!settings.anthropic) throw missing(provider, 'ANTHROPIC_API_KEY');
      // Given explicitly, because otherwise the client reads a URL from the environment.
      const { apiKey, url: baseURL = 'https://api.anthropic.com/v1' } = settings.anthropic;
      const { createAnthropic } = await import('@ai-sdk/anthropic');
      const create = createAnthropic({ apiKey, baseURL, fetch: limitedFetch });
      return { ask: readByClient(create.languageModel(modelId)), takesSystemMessages: false, takesImages: true };
    }
    case 'google': {
      if (!settings.google) throw missing(provider, 'GOOGLE_GENERATIVE_AI_API_KEY');
      const { apiKey, url: baseURL = 'https://generativelanguage.googleapis.com/v1beta' } = settings.google;
      const { createGoogleGenerativeAI } = await import('@ai-sdk/google');
      const create = createGoogleGenerativeAI({ apiKey, baseURL, fetch: limitedFetch });
      return { ask: readByClient(create.languageModel(modelId)), takesSystemMessages: false, takesImages: true };
    }
  }
}

function missing(provider: ProviderName, setting: string): RuntimeError {
  return new RuntimeError(`The provider ${provider} is not configured. Set ${setting}.`);
}
