import { html } from './shared/html.js';
import { AskButton } from './shared/parts/ask-button.js';
import { toast } from './shared/parts/toast.js';
import { isUnderWay, reasonOf, statusOf } from './words.js';

/** Takes a call back, after a question; nothing where there is nothing to take back. */
export function CancelButton({ dispatch, onCancel }) {
  const { dispatch_id: id } = dispatch;
  if (id === null || !isUnderWay(dispatch)) return null;
  const cancel = async () => {
    try {
      const { status, end_reason: reason } = await onCancel(id);
      toast(reason === 'cancelled' ? 'The call was cancelled.' : over(status, reason), 'neutral');
    } catch (refusal) {
      toast(refusal.message, 'bad');
    }
  };
  return html`<${AskButton} tone="danger" question=${question(dispatch)} busyText="Cancelling …" onAct=${cancel}>Cancel the call<//>`;
}

function question({ status, metadata: { destination } }) {
  return {
    title: 'Cancel this call?',
    text: status === 'answered'
      ? `Whoever talks with the agent at ${destination} is cut off in the middle of the sentence.`
      : `${destination} stops ringing, or is not called at all.`,
    confirm: 'Hang up',
    dismiss: 'Leave it',
  };
}

/** It ended by itself before it could be cancelled. */
function over(status, reason) {
  const { word } = statusOf({ status, call_start: null });
  return `The call was over already: ${(reasonOf({ end_reason: reason }) || word).toLowerCase()}.`;
}
