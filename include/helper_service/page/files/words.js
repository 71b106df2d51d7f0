// What the page says, in the languages it knows. A label that has no word here is shown as it is.

const ENGLISH = {
  title: "Photo review",
  whoAreYou: "Who is reviewing? A real installation knows this from the login.",
  reviewer: "Your name",
  branch: "Branch (empty: all)",
  begin: "Begin",
  leave: "{reviewer} · change",
  send: "Send",
  cancel: "Cancel",
  skip: "Later",
  undo: "Undo",
  confirm: "Confirm: {label}",
  correct: "Correct: {label}",
  aiSays: "The AI says",
  sure: "{percent} sure",
  by: "model {version}",
  hidden: "Your own eyes: the AI's verdict is hidden for this photo.",
  second: "A second opinion: the AI's verdict and the first person's are hidden.",
  third: "Two people disagree about this photo: your word decides.",
  loading: "The photo is loading…",
  noPhoto: "This photo cannot be shown. Take it later.",
  why: "Why is it {label}?",
  said: "Said: {label}",
  saidConfirmed: "Confirmed: {label}",
  saidCorrected: "Corrected: {label}",
  takenBack: "Taken back.",
  tooLate: "Too late to undo: it has left already.",
  counts: "{waiting} waiting · {reviewed} reviewed today, {corrected} corrected",
  capped: "Your branch has had all its photos for today ({most}). Thank you!",
  nothing: "Nothing is waiting. New photos appear here by themselves.",
  serving: "Answering now: {versions}",
  onAll: "{version}",
  onSome: "{version} on {count} of {all}",
  silent: "no answer from {count} of {all}",
  nobody: "No model answers now",
  badName: "A name is letters and digits, with spaces and . _ : @ - between them.",
  learned: "Your {corrections} corrections came in time for {version}, live since {since}.",
  learnedOne: "Your correction came in time for {version}, live since {since}.",
  away: "The server cannot be reached. Nothing you sent is lost; trying again…",
  notSaved: "That was not saved: {reason}. Please press again.",
  refused: "That was not saved, and pressing again will not help: {reason}. Reload the page, or tell whoever runs it.",
  wrongClock: "That was not saved: this device says that it is {now}. Set its clock, then press again.",
  noQueue: "No photos come: {reason}. Reload the page, or tell whoever runs it.",
  taken: "You have said something else of this photo already.",
  gone: "This photo is no longer there.",
  otherLanguage: "한국어",
  photoOf: "Photo of task {task}",
};

const KOREAN = {
  title: "사진 검수",
  whoAreYou: "누가 검수하나요? 실제 서비스에서는 로그인으로 알 수 있습니다.",
  reviewer: "이름",
  branch: "지점 (비우면 전체)",
  begin: "시작",
  leave: "{reviewer} · 변경",
  send: "보내기",
  cancel: "취소",
  skip: "나중에",
  undo: "되돌리기",
  confirm: "컨펌: {label}",
  correct: "수정: {label}",
  aiSays: "AI 판독",
  sure: "확신 {percent}",
  by: "모델 {version}",
  hidden: "직접 판단해 주세요. 이 사진은 AI 판독을 숨깁니다.",
  second: "두 번째 의견입니다. AI 판독과 첫 번째 사람의 판단을 숨깁니다.",
  third: "두 사람의 판단이 다릅니다. 이번 판단으로 결정됩니다.",
  loading: "사진을 불러오는 중…",
  noPhoto: "이 사진을 볼 수 없습니다. 나중에 해 주세요.",
  why: "왜 {label}인가요?",
  said: "판단: {label}",
  saidConfirmed: "컨펌: {label}",
  saidCorrected: "수정: {label}",
  takenBack: "되돌렸습니다.",
  tooLate: "이미 전송되어 되돌릴 수 없습니다.",
  counts: "대기 {waiting} · 오늘 검수 {reviewed}, 수정 {corrected}",
  capped: "오늘 지점의 사진 {most}장을 모두 마쳤습니다. 감사합니다!",
  nothing: "대기 중인 사진이 없습니다. 새 사진은 저절로 나타납니다.",
  serving: "서비스 중: {versions}",
  onAll: "{version}",
  onSome: "{version} ({all}대 중 {count}대)",
  silent: "{all}대 중 {count}대 응답 없음",
  nobody: "지금 응답하는 모델이 없습니다",
  badName: "이름과 지점은 글자와 숫자로 쓰고, 사이에 공백과 . _ : @ - 를 쓸 수 있습니다.",
  learned: "수정하신 {corrections}건까지 학습 대상에 넣어 만든 {version}이(가) {since}부터 서비스 중입니다.",
  learnedOne: "수정하신 1건까지 학습 대상에 넣어 만든 {version}이(가) {since}부터 서비스 중입니다.",
  away: "서버에 연결할 수 없습니다. 보낸 내용은 사라지지 않습니다. 다시 연결하는 중…",
  notSaved: "저장되지 않았습니다: {reason}. 다시 눌러 주세요.",
  refused: "저장되지 않았고, 다시 눌러도 저장되지 않습니다: {reason}. 페이지를 새로 고치거나 담당자에게 알려 주세요.",
  wrongClock: "저장되지 않았습니다. 이 기기의 시각이 {now}입니다. 시계를 맞춘 뒤 다시 눌러 주세요.",
  noQueue: "사진을 받지 못합니다: {reason}. 페이지를 새로 고치거나 담당자에게 알려 주세요.",
  taken: "이 사진은 이미 다르게 검수하셨습니다.",
  gone: "이 사진은 더 이상 없습니다.",
  otherLanguage: "English",
  photoOf: "작업 {task}의 사진",
};

const LABELS = { en: { 양호: "good", 불량: "defective" }, ko: {} };
// Models answer with reasons of the pipeline's list, in Korean.
const LISTED = {
  en: { 얼룩: "stain", 잉크: "ink", 흙: "mud", 기름: "grease", 찢어짐: "tear", 탈색: "discolouration", "무늬를 결함으로 봄": "pattern", 기타: "other" },
  ko: {},
};
const REASONS = {
  en: {
    불량: ["the AI missed a stain", "the AI missed a tear", "the AI missed a discolouration", "the AI missed another defect"],
    양호: ["the AI took the pattern for a defect", "the AI took a shadow for a defect", "it is part of the garment", "the defect is gone"],
  },
  ko: {
    불량: ["AI가 놓친 얼룩", "AI가 놓친 찢어짐", "AI가 놓친 변색", "AI가 놓친 다른 결함"],
    양호: ["AI가 무늬를 결함으로 봄", "AI가 그림자를 결함으로 봄", "옷의 일부임", "결함이 없어짐"],
  },
};

export const LANGUAGES = { en: ENGLISH, ko: KOREAN };

export class Words {
  constructor(language) {
    this.language = language in LANGUAGES ? language : "en";
  }

  say(key, values = {}) {
    const text = LANGUAGES[this.language][key];
    return text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
  }

  label(label) {
    const word = LABELS[this.language][label];
    return word ? `${word} ${label}` : label;
  }

  // `said` is sent, `shown` stands on the button. What a likely reason says already does not follow again.
  reasons(label, likeliest) {
    const words = likeliest.map((name) => LISTED[this.language][name] ?? name);
    const first = likeliest.map((name, at) => ({ said: name, shown: words[at] === name ? name : `${words[at]} ${name}` }));
    const others = (REASONS[this.language][label] ?? []).filter((text) => !words.some((word) => text.includes(word)));
    return [...first, ...others.map((text) => ({ said: text, shown: text }))];
  }

  percent(share) {
    return new Intl.NumberFormat(this.language, { style: "percent" }).format(share);
  }

  // A moment as ISO 8601, or in milliseconds.
  time(moment) {
    return new Intl.DateTimeFormat(this.language, { dateStyle: "medium", timeStyle: "short" }).format(new Date(moment));
  }
}
