// Calls the operator when somebody waits: by a sound and by a notification of the desktop, each only where he wants it.
import { createStore } from './shared/store.js';
import { recall, remember } from './shared/preferences.js';

const on = (name) => recall(`chat.${name}`) === 'on';
const NOTES_HZ = [660, 880];
const NOTE_S = 0.14;
const LOUDNESS = 0.15;

/** What is wanted: `{sound, desktop}`. */
export const wanted = createStore({ sound: on('sound'), desktop: on('desktop') && allowed() });

function allowed() {
  return 'Notification' in globalThis && Notification.permission === 'granted';
}

function want(name, value) {
  remember(`chat.${name}`, value ? 'on' : null);
  wanted.set((before) => ({ ...before, [name]: value }));
}

/** Switches the sound; it is heard at once, since browsers allow sounds only after a click. */
export function wantSound(value) {
  want('sound', value);
  if (value) ring();
}

/** Switches the notifications, and asks the browser for them; resolves to whether it is as was wanted. */
export async function wantDesktop(value) {
  if (!value) {
    want('desktop', false);
    return true;
  }
  const permission = 'Notification' in globalThis ? await Notification.requestPermission() : 'denied';
  want('desktop', permission === 'granted');
  return permission === 'granted';
}

/** Somebody waits: `onOpen` when the operator follows the notification. */
export function alertWaiting({ title, text, tag, onOpen }) {
  const { sound, desktop } = wanted.get();
  if (sound) ring();
  if (!desktop || !allowed() || document.visibilityState === 'visible') return;
  const notification = new Notification(title, { body: text, tag });
  notification.onclick = () => {
    window.focus();
    notification.close();
    onOpen();
  };
}

let audio = null;

/** Two notes. */
function ring() {
  try {
    audio ??= new AudioContext();
    audio.resume();
    NOTES_HZ.forEach((pitch, index) => note(pitch, audio.currentTime + index * NOTE_S));
  } catch {
    // A machine without sound: the list still shows who waits.
  }
}

function note(pitch, at) {
  const oscillator = audio.createOscillator();
  const gain = audio.createGain();
  oscillator.frequency.value = pitch;
  gain.gain.setValueAtTime(LOUDNESS, at);
  gain.gain.exponentialRampToValueAtTime(0.001, at + NOTE_S);
  oscillator.connect(gain).connect(audio.destination);
  oscillator.start(at);
  oscillator.stop(at + NOTE_S);
}
